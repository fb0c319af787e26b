// Package http sends requests to servers that the operator granted.
//
//	page, err := http.Get(ctx, "https://example.com/")
//	if err == nil {
//		err = page.ErrorForStatus()
//	}
//	text, err := page.Text()
//
// Headers may hold `{{secret:NAME}}`: the host puts the secret there, and the skill never sees it.
//
//	made, err := http.Post(ctx, "https://api.example.com/notes",
//		http.Header("authorization", secrets.Bearer("NOTES_TOKEN")), http.JSON(note))
package http

import (
	"context"
	"encoding/json/v2"
	"time"

	"ringfence"
	"ringfence/internal/host"
)

// Field is a header's name and value. Names come back in lower case.
type Field struct{ Name, Value string }

// Request is a request to be sent. Functions of this package make one of a method, a URL and options.
type Request struct {
	Method  string
	URL     string
	Headers []Field
	// Body is the whole body; for one that comes piece by piece see Begin.
	Body []byte
	// Follow says whether redirects are followed, as far as their targets are granted.
	Follow bool
	// Timeout is how long to wait for the response's head; 0 for as long as the invocation lasts.
	Timeout time.Duration

	wrong error
}

// Option says more about a request.
type Option func(*Request)

// Header adds a header.
func Header(name, value string) Option {
	return func(r *Request) { r.Headers = append(r.Headers, Field{name, value}) }
}

// Body is the whole body.
func Body(body []byte) Option { return func(r *Request) { r.Body = body } }

// JSON is the whole body as JSON, with its `content-type`.
func JSON(value any) Option {
	return func(r *Request) {
		body, err := json.Marshal(value)
		if err != nil {
			r.wrong = ringfence.Refuse(ringfence.Invalid, "the request's body cannot be JSON: "+err.Error())
		}
		r.Body = body
		r.Headers = append(r.Headers, Field{"content-type", "application/json"})
	}
}

// NoRedirects gives a redirect as the response.
func NoRedirects(r *Request) { r.Follow = false }

// Timeout is how long to wait for the response's head.
func Timeout(time time.Duration) Option { return func(r *Request) { r.Timeout = time } }

// NewRequest makes a request, for Parallel.
func NewRequest(method, url string, options ...Option) *Request {
	request := &Request{Method: method, URL: url, Follow: true}
	for _, option := range options {
		option(request)
	}
	return request
}

// Get gets a URL and waits for the response's head. A status of 400 or above is a response: see ErrorForStatus.
func Get(ctx context.Context, url string, options ...Option) (*Response, error) {
	return Do(ctx, "GET", url, options...)
}

// Post posts to a URL and waits for the response's head.
func Post(ctx context.Context, url string, options ...Option) (*Response, error) {
	return Do(ctx, "POST", url, options...)
}

// Do sends a request of any method and waits for the response's head.
func Do(ctx context.Context, method, url string, options ...Option) (*Response, error) {
	return Send(ctx, NewRequest(method, url, options...))
}

// Send sends a request and waits for the response's head.
func Send(ctx context.Context, request *Request) (*Response, error) {
	if err := request.check(ctx); err != nil {
		return nil, err
	}
	inner, err := send(ctx, request)
	return newResponse(inner, err)
}

// Start sends a request and returns at once, so that several run at the same time.
func Start(ctx context.Context, method, url string, options ...Option) (*Pending, error) {
	return startRequest(ctx, NewRequest(method, url, options...))
}

func startRequest(ctx context.Context, request *Request) (*Pending, error) {
	if err := request.check(ctx); err != nil {
		return nil, err
	}
	inner, err := start(ctx, request)
	if err != nil {
		return nil, err
	}
	return &Pending{inner}, nil
}

// Begin begins a request whose body is written piece by piece. Redirects are not followed.
func Begin(ctx context.Context, method, url string, options ...Option) (*Upload, error) {
	request := NewRequest(method, url, options...)
	request.Follow = false
	if err := request.check(ctx); err != nil {
		return nil, err
	}
	inner, err := begin(ctx, request)
	if err != nil {
		return nil, err
	}
	return &Upload{inner}, nil
}

func (request *Request) check(ctx context.Context) error {
	if request.wrong != nil {
		return request.wrong
	}
	return host.Check(ctx)
}
