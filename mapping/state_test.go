package mapping

import "testing"

// Lambda API Reference, EventSourceMappingConfiguration (State), UpdateEventSourceMapping and DeleteEventSourceMapping
// (ResourceInUseException). For every state and every change: where it leads, or that it is refused.
func TestEveryChangeInEveryStateLeadsWhereTheDiagramSays(t *testing.T) {
	t.Parallel()
	changes := []change{edit, enable, disable, remove, settleOn, settleOff}
	const no = State("")
	table := map[State][6]State{
		//           edit      enable    disable    remove    settleOn settleOff
		Creating:  {no, no, no, no, Enabled, Disabled},
		Enabling:  {no, no, no, Deleting, Enabled, no},
		Enabled:   {Updating, Enabling, Disabling, Deleting, no, no},
		Disabling: {no, no, no, Deleting, no, Disabled},
		Disabled:  {Updating, Enabling, Disabling, Deleting, no, no},
		Updating:  {no, no, no, no, Enabled, Disabled},
		Deleting:  {no, no, no, Deleting, no, no},
	}
	for from, row := range table {
		for i, c := range changes {
			got, ok := after(from, c)
			if !ok {
				got = no
			}
			if got != row[i] {
				t.Errorf("%s after change %d: got %q, want %q", from, c, got, row[i])
			}
		}
	}
}
