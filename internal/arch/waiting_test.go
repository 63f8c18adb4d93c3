package arch

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// inBubbles lists helpers that tests call only inside a synctest bubble, where time is fake and waiting is free.
var inBubbles = []string{
	"api/kinesis/subscribe_test.go: pass",
	"api/wire/intake_test.go: openPort",
	"api/wire/stream_test.go: pass",
	"auth/keys_test.go: after",
	"engine/engine_test.go: Invoke",
	"engine/engine_test.go: pass",
	"metric/metric_test.go: pass",
	"sim/simshell/world.go: busy",
	"storage/pebble/fault_test.go: pass",
	"stream/event_test.go: idle",
}

// awaited lists the places in the product that sleep without a way to wake them, with the reason why.
var awaited = map[string]string{
	"function/sandbox/cgroup_linux.go: removeCgroup": "the kernel does not tell when a control group is empty",
}

// A test waits for events, not for time to pass: with a channel, in a bubble of fake time, or, where nothing signals
// the event, with package internal/eventually. A test that sleeps is slow on an idle machine and red on a busy one.
func TestTestsDoNotSleepOrPoll(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, f := range files(t) {
		if !f.test && !strings.HasSuffix(f.room, "test") && !strings.HasPrefix(f.room, "sim") && f.room != "e2e" {
			continue
		}
		for _, w := range waits(f.ast, []string{"Sleep", "After", "Tick", "NewTicker"}, true) {
			where := f.path + ": " + w.function
			used[where] = true
			if !slices.Contains(inBubbles, where) && f.room != "internal/eventually" {
				t.Errorf("%s in %s waits by %s; take a channel, a synctest bubble or internal/eventually",
					w.function, f.path, w.how)
			}
		}
	}
	for _, where := range inBubbles {
		if !used[where] {
			t.Errorf("%s does not wait for time any more; take it off the list", where)
		}
	}
}

// The product does not sleep: every wait can be ended.
func TestNothingSleepsDeaf(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if f.test || onlyForUs(f.room) {
			continue
		}
		for _, w := range waits(f.ast, []string{"Sleep", "Tick"}, false) {
			if where := f.path + ": " + w.function; awaited[where] == "" {
				t.Errorf("%s in %s calls %s; wait for a timer and for the end beside it", w.function, f.path, w.how)
			}
		}
	}
}

// wait is a place that waits for real time.
type wait struct{ function, how string }

// waits finds uses of banned functions of package time outside of bubbles and, if loops is set, loops that look at the
// time.
func waits(file *ast.File, banned []string, loops bool) (out []wait) {
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if isOf(n.Fun, "synctest", "Test") || isOf(n.Fun, "rapid", "SyncTest") {
					return false
				}
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains(banned, s.Sel.Name) &&
					isOf(s, "time", s.Sel.Name) {
					out = append(out, wait{fn.Name.Name, "time." + s.Sel.Name})
				}
			case *ast.ForStmt:
				if loops && looksAtTheTime(n) {
					out = append(out, wait{fn.Name.Name, "a loop that looks at the time"})
				}
			}
			return true
		})
	}
	return out
}

// looksAtTheTime reports whether a loop runs until a certain time.
func looksAtTheTime(loop *ast.ForStmt) (found bool) {
	look := func(n ast.Node) {
		if n == nil {
			return
		}
		ast.Inspect(n, func(n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok && (isOf(c.Fun, "time", "Now") || isOf(c.Fun, "time", "Since")) {
				found = true
			}
			return true
		})
	}
	if loop.Cond != nil {
		look(loop.Cond)
	}
	for _, s := range loop.Body.List {
		if i, ok := s.(*ast.IfStmt); ok {
			look(i.Cond)
		}
	}
	return found
}

// isOf reports whether e is the name in package pkg.
func isOf(e ast.Expr, pkg, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != name {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == pkg && x.Obj == nil
}

func TestWaitsAreFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		`<-time.After(1)`: 1, `time.Sleep(1)`: 1, `x := time.NewTicker(1); _ = x`: 1,
		`for time.Now().Before(end) { }`: 1, `for { if time.Since(began) > limit { return } }`: 1,
		`synctest.Test(t, func(t *testing.T) { time.Sleep(1); for time.Now().Before(end) { } })`: 0,
		`x := time.NewTimer(1); <-x.C`: 0, `for i := range 3 { _ = time.Now() }`: 0,
	} {
		file := parse(t, "package x; func f() { "+text+" }")
		if got := waits(file, []string{"Sleep", "After", "Tick", "NewTicker"}, true); len(got) != want {
			t.Errorf("%s: %v, want %d", text, got, want)
		}
	}
}
