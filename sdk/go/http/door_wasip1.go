package http

import (
	"context"
	"math"

	witTypes "go.bytecodealliance.org/pkg/wit/types"

	wit "ringfence/internal/bindings/imports/ringfence_skill_http"
	"ringfence/internal/wire"
)

type response struct{ inner *wit.Response }

func (r response) Head() (int, string, []Field) {
	head := r.inner.Head()
	headers := make([]Field, len(head.Headers))
	for at, header := range head.Headers {
		headers[at] = Field{header.F0, header.F1}
	}
	return int(head.Status), head.Url, headers
}

func (r response) Read(max uint32) ([]byte, error) { return wire.Result(r.inner.Read(max)) }
func (r response) Drop()                           { r.inner.Drop() }

type pending struct{ inner *wit.Pending }

func (p pending) Wait() (source, error) {
	inner, err := wire.Result(p.inner.Wait())
	return wrap(inner, err)
}

func (p pending) Drop() { p.inner.Drop() }

type upload struct{ inner *wit.Upload }

func (u upload) Write(chunk []byte) error {
	_, err := wire.Result(u.inner.Write(chunk))
	return err
}

func (u upload) Finish() (source, error) {
	inner, err := wire.Result(u.inner.Finish())
	return wrap(inner, err)
}

func (u upload) Drop() { u.inner.Drop() }

func send(_ context.Context, request *Request) (source, error) {
	inner, err := wire.Result(wit.Send(lower(request)))
	return wrap(inner, err)
}

func start(_ context.Context, request *Request) (pendingSource, error) {
	inner, err := wire.Result(wit.Start(lower(request)))
	if err != nil {
		return nil, err
	}
	return pending{inner}, nil
}

func begin(_ context.Context, request *Request) (uploadSource, error) {
	inner, err := wire.Result(wit.Begin(lower(request)))
	if err != nil {
		return nil, err
	}
	return upload{inner}, nil
}

func wrap(inner *wit.Response, err error) (source, error) {
	if err != nil {
		return nil, err
	}
	return response{inner}, nil
}

func lower(request *Request) wit.Request {
	var timeout *uint32
	if request.Timeout > 0 {
		limit := uint32(min(request.Timeout.Milliseconds(), math.MaxUint32))
		timeout = &limit
	}
	headers := make([]wit.Header, len(request.Headers))
	for at, field := range request.Headers {
		headers[at] = witTypes.Tuple2[string, string]{F0: field.Name, F1: field.Value}
	}
	return wit.Request{
		Method:    request.Method,
		Url:       request.URL,
		Headers:   headers,
		Body:      request.Body,
		Follow:    request.Follow,
		TimeoutMs: wire.Some(timeout),
	}
}
