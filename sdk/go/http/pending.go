package http

import (
	"context"
	"iter"

	"ringfence"
)

type pendingSource interface {
	Wait() (source, error)
	Drop()
}

type uploadSource interface {
	Write(chunk []byte) error
	Finish() (source, error)
	Drop()
}

// Pending is a request under way.
type Pending struct{ inner pendingSource }

// Wait waits for the response's head. A second call gives Invalid.
func (pending *Pending) Wait() (*Response, error) {
	if pending.inner == nil {
		return nil, ringfence.Refuse(ringfence.Invalid, "the request was waited for already")
	}
	inner := pending.inner
	pending.inner = nil
	defer inner.Drop()
	return newResponse(inner.Wait())
}

// Cancel ends the request where it was not waited for; it may have reached the server all the same.
func (pending *Pending) Cancel() {
	if pending.inner != nil {
		pending.inner.Drop()
		pending.inner = nil
	}
}

// Upload is a request whose body is being written. It is an io.Writer.
type Upload struct{ inner uploadSource }

// Write gives bytes to the request. Waits while the server does not take them.
func (upload *Upload) Write(chunk []byte) (int, error) {
	if upload.inner == nil {
		return 0, ringfence.Refuse(ringfence.Invalid, "the body is finished already")
	}
	if len(chunk) == 0 {
		return 0, nil
	}
	if err := upload.inner.Write(chunk); err != nil {
		return 0, err
	}
	return len(chunk), nil
}

// Finish ends the body and waits for the response's head.
func (upload *Upload) Finish() (*Response, error) {
	if upload.inner == nil {
		return nil, ringfence.Refuse(ringfence.Invalid, "the body is finished already")
	}
	inner := upload.inner
	upload.inner = nil
	defer inner.Drop()
	return newResponse(inner.Finish())
}

// Cancel breaks the request off where it was not finished.
func (upload *Upload) Cancel() {
	if upload.inner != nil {
		upload.inner.Drop()
		upload.inner = nil
	}
}

// Parallel sends many requests with at most inFlight at once, and gives the responses in the order of the requests. Each comes with an
// error of its own. Leaving the loop cancels what is under way.
//
//	for page, err := range http.Parallel(ctx, 8, requests) { ... }
func Parallel(ctx context.Context, inFlight int, requests []*Request) iter.Seq2[*Response, error] {
	type started struct {
		pending *Pending
		err     error
	}
	return func(yield func(*Response, error) bool) {
		var open []started
		defer func() {
			for _, one := range open {
				if one.pending != nil {
					one.pending.Cancel()
				}
			}
		}()
		for len(requests) > 0 || len(open) > 0 {
			for len(open) < max(inFlight, 1) && len(requests) > 0 {
				pending, err := startRequest(ctx, requests[0])
				open, requests = append(open, started{pending, err}), requests[1:]
			}
			first := open[0]
			open = open[1:]
			var response *Response
			if first.err == nil {
				response, first.err = first.pending.Wait()
			}
			if !yield(response, first.err) {
				return
			}
		}
	}
}
