package e2e_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Two hosts on one wire: network namespaces with an address each, which nothing else reaches. Both are this test binary
// again, once for the server's host, which makes the wire, and once for the client's; they live until their standard
// input ends.
const (
	hostMark   = "SHARDMILL_E2E_HOST"
	serverHost = "10.77.0.1"
	clientHost = "10.77.0.2"
)

func init() {
	which := os.Getenv(hostMark)
	if which == "" {
		return
	}
	err := errors.New("no such host: " + which)
	switch which {
	case "server":
		err = beServer()
	case "client":
		err = beClient()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, which+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// beServer makes the other host and the wire, says which process the other one is, and stays.
func beServer() error {
	other := exec.Command("/proc/self/exe")
	other.Env = append(os.Environ(), hostMark+"=client")
	other.Stderr = os.Stderr
	other.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET, AmbientCaps: []uintptr{unix.CAP_NET_ADMIN}, Pdeathsig: syscall.SIGKILL,
	}
	in, err := other.StdinPipe()
	if err != nil {
		return err
	}
	out, err := other.StdoutPipe()
	if err != nil {
		return err
	}
	if err := other.Start(); err != nil {
		return err
	}
	if err := makeWire("wire0", "wire1", other.Process.Pid); err != nil {
		return err
	}
	if err := addressed("wire0", serverHost); err != nil {
		return err
	}
	fmt.Fprintln(in, "the wire is there")
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return err
	}
	fmt.Println(other.Process.Pid)
	_, err = io.Copy(io.Discard, os.Stdin)
	_ = in.Close()
	return errors.Join(err, other.Wait())
}

// beClient waits for its end of the wire, and stays.
func beClient() error {
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return err
	}
	if err := addressed("wire1", clientHost); err != nil {
		return err
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, in)
	return err
}

// addressed gives an end of the wire its address, and brings it and the loopback up.
func addressed(name, address string) error {
	if err := loopbackUp(); err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, set := range []struct {
		call  uint
		value string
	}{{unix.SIOCSIFADDR, address}, {unix.SIOCSIFNETMASK, "255.255.255.0"}} {
		ifr, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		ip := netip.MustParseAddr(set.value).As4()
		if err := ifr.SetInet4Addr(ip[:]); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, set.call, ifr); err != nil {
			return fmt.Errorf("%s gets %s: %w", name, set.value, err)
		}
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}

// makeWire makes a pair of interfaces, the second in the network of another process. Source: rtnetlink(7), veth(4).
func makeWire(ours, theirs string, pid int) error {
	attribute := func(kind uint16, value []byte) []byte {
		b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofRtAttr+len(value)))
		b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
		return append(b, make([]byte, -len(b)&3)...)
	}
	named := func(name string) []byte { return attribute(unix.IFLA_IFNAME, append([]byte(name), 0)) }
	link := make([]byte, unix.SizeofIfInfomsg) // nothing in particular
	const peer = 1                             // VETH_INFO_PEER
	other := append(append([]byte(nil), link...), named(theirs)...)
	other = append(other, attribute(unix.IFLA_NET_NS_PID, binary.NativeEndian.AppendUint32(nil, uint32(pid)))...)
	info := attribute(unix.IFLA_INFO_KIND, []byte("veth"))
	info = append(info, attribute(unix.IFLA_INFO_DATA, attribute(peer, other))...)
	body := append(append(link, named(ours)...), attribute(unix.IFLA_LINKINFO, info)...)

	message := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	message = binary.NativeEndian.AppendUint16(message, unix.RTM_NEWLINK)
	message = binary.NativeEndian.AppendUint16(
		message, unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL,
	)
	message = append(message, make([]byte, 8)...) // number of the message, and of the port
	message = append(message, body...)

	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("making the wire was answered with %x", answer[:n])
	}
	if errno := -int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])); errno != 0 {
		return fmt.Errorf("making the wire: %w", syscall.Errno(errno))
	}
	return nil
}

// hosts are a server's and a client's host: words before a command that make it run there.
type hosts struct{ server, client []string }

// on returns the name and arguments of a command on a host.
func on(host []string, name string, args ...string) (string, []string) {
	return host[0], append(append(append([]string(nil), host[1:]...), name), args...)
}

// twoHosts makes both. Where the machine lets nobody make networks, the test is skipped.
func twoHosts(t *testing.T) hosts {
	t.Helper()
	enter, err := exec.LookPath("nsenter")
	if err != nil {
		t.Skip("nsenter (util-linux) is missing")
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), hostMark+"=server")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN},
	}
	var said output
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("this machine lets nobody make a network: %v", err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // it has no say
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Skipf("this machine lets nobody make a network: %v: %s", err, said.String())
	}
	into := func(pid string) []string {
		return []string{enter, "--target", pid, "--user", "--net", "--preserve-credentials", "--"}
	}
	return hosts{into(strconv.Itoa(cmd.Process.Pid)), into(strings.TrimSpace(line))}
}
