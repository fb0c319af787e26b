// Package client gives Go code that wants a client of net/http one that asks the host, so that libraries for web services work in a skill:
//
//	api := github.NewClient(client.New(ctx))
//
// It makes a component larger by several MiB: where nothing wants a client, ringfence/http does the same.
package client

import (
	"context"
	"fmt"
	"io"
	nethttp "net/http"

	"ringfence/http"
)

// New gives a client for this invocation. It follows redirects as net/http does; each hop must be granted.
func New(ctx context.Context) *nethttp.Client {
	return &nethttp.Client{Transport: transport{ctx}}
}

type transport struct{ ctx context.Context }

// hosts are headers that belong to the host, which refuses them. Libraries set them without need.
var hosts = map[string]bool{"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Connection": true, "Accept-Encoding": true}

// RoundTrip sends one request.
func (t transport) RoundTrip(request *nethttp.Request) (*nethttp.Response, error) {
	if err := request.Context().Err(); err != nil {
		return nil, err
	}
	options := []http.Option{http.NoRedirects}
	for name, values := range request.Header {
		for _, value := range values {
			if !hosts[name] {
				options = append(options, http.Header(name, value))
			}
		}
	}
	if request.Body != nil {
		defer request.Body.Close()
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		options = append(options, http.Body(body))
	}
	given, err := http.Do(t.ctx, request.Method, request.URL.String(), options...)
	if err != nil {
		return nil, err
	}
	header := nethttp.Header{}
	for _, field := range given.Headers {
		header.Add(field.Name, field.Value)
	}
	return &nethttp.Response{
		Status:     fmt.Sprintf("%d %s", given.Status, nethttp.StatusText(given.Status)),
		StatusCode: given.Status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        header,
		Body:          given,
		ContentLength: -1,
		Request:       request,
	}, nil
}
