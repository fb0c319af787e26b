//go:build !wasip1

package http

import (
	"context"

	"ringfence/internal/host"
)

type imports interface {
	HTTPSend(request Request) (status int, headers []Field, body []byte, err error)
}

type served struct {
	status  int
	url     string
	headers []Field
	body    []byte
}

func (s *served) Head() (int, string, []Field) { return s.status, s.url, s.headers }

func (s *served) Read(max uint32) ([]byte, error) {
	if max == 0 {
		max = 64 << 10
	}
	piece := s.body[:min(int(max), len(s.body))]
	s.body = s.body[len(piece):]
	return piece, nil
}

func (s *served) Drop() {}

type pending struct {
	served source
	err    error
}

func (p pending) Wait() (source, error) { return p.served, p.err }
func (p pending) Drop()                 {}

type upload struct {
	ctx     context.Context
	request Request
}

func (u *upload) Write(chunk []byte) error {
	u.request.Body = append(u.request.Body, chunk...)
	return nil
}

func (u *upload) Finish() (source, error) { return send(u.ctx, &u.request) }
func (u *upload) Drop()                   {}

func send(ctx context.Context, request *Request) (source, error) {
	status, headers, body, err := host.Imports[imports](ctx, "http").HTTPSend(*request)
	if err != nil {
		return nil, err
	}
	return &served{status, request.URL, headers, body}, nil
}

func start(ctx context.Context, request *Request) (pendingSource, error) {
	served, err := send(ctx, request)
	return pending{served, err}, nil
}

func begin(ctx context.Context, request *Request) (uploadSource, error) {
	host.Imports[imports](ctx, "http.Begin")
	return &upload{ctx, *request}, nil
}
