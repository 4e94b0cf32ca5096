package telephony

import "context"

// Attributor is the one thing that this room wishes for from a later one: to be
// told which source earned a call, for the whisper and for the call's row to be
// complete when it is first shown. It is asked once, after the call is on disk,
// with little time; when it fails the call rings all the same and the later
// room finds the call by itself.
type Attributor interface {
	Attribute(ctx context.Context, call Call) (source string, err error)
}
