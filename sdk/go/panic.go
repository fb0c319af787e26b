package ringfence

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"runtime/debug"
	"strings"

	"ringfence/internal/host"
)

// panicked makes a failure of a panic: the message names the author's file and line, and the operator's log has the whole way there.
// It runs inside of the deferred function, while the stack of the panic is still there.
//
// Only the goroutine that runs the tool is caught. A panic in another goroutine ends the instance, as Go has it.
func panicked(ctx *Context, thrown any) *Failure {
	message := fmt.Sprint(thrown)
	if err, ok := thrown.(error); ok {
		message = err.Error()
	}
	own, all := frames()
	var trace strings.Builder
	for _, frame := range all {
		fmt.Fprintf(&trace, "\n  at %s (%s:%d)", frame.Function, file(frame.File), frame.Line)
	}
	place, where := "", ""
	if own != nil {
		place = fmt.Sprintf("%s:%d", file(own.File), own.Line)
		where = fmt.Sprintf(" (%s, in %s)", place, function(own.Function))
	}
	host.Log(ctx, host.Error, "panic: "+message+trace.String(), []host.Field{{Key: "at", Value: place}})
	if err, ok := thrown.(error); ok {
		var refusal *Refusal
		var failure *Failure
		if errors.As(err, &refusal) || errors.As(err, &failure) {
			return failureOf(err)
		}
	}
	return &Failure{Kind: KindFailed, Message: "the skill panicked: " + message + where}
}

// frames gives the innermost frame of the author's own code, and all but those of Go's runtime.
func frames() (own *runtime.Frame, all []runtime.Frame) {
	counters := make([]uintptr, 128)
	// Callers itself, frames, panicked and the deferred function are nobody's fault.
	walk := runtime.CallersFrames(counters[:runtime.Callers(4, counters)])
	for {
		frame, more := walk.Next()
		if strings.HasPrefix(frame.Function, "ringfence.Tool[") {
			return own, all // what stands behind is this SDK, the same for every call
		}
		switch {
		case strings.HasPrefix(frame.Function, "runtime."), frame.Function == "":
		default:
			all = append(all, frame)
			if own == nil && isAuthors(frame) {
				own = &frame
			}
		}
		if !more {
			return own, all
		}
	}
}

// isAuthors tells the skill's own packages from this SDK and from Go's library, whose import paths have no dot in their first part;
// neither has the skill's own module, so that it is known by `main`, or by its name.
func isAuthors(frame runtime.Frame) bool {
	function := frame.Function
	if strings.HasPrefix(function, "main.") {
		return true
	}
	if module := module(); module != "" && module != "ringfence" && strings.HasPrefix(function, module) {
		return true
	}
	return strings.HasSuffix(frame.File, "_test.go")
}

// function shortens `skill/name.deep` and `main.deep` to `deep`.
func function(name string) string {
	name = name[strings.LastIndex(name, "/")+1:]
	_, name, _ = strings.Cut(name, ".")
	return name
}

func module() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Path
	}
	return ""
}

// file shortens a file's name to how the author knows it. Builds with -trimpath begin it with the module's name.
func file(name string) string {
	if module := module(); module != "" {
		if rest, ok := strings.CutPrefix(name, module+"/"); ok {
			return rest
		}
	}
	if path.IsAbs(name) {
		return path.Base(name)
	}
	return name
}
