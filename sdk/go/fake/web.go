package fake

import (
	"encoding/json/v2"
	"strings"

	"ringfence"
	"ringfence/http"
)

// Request is a request to a server, as the skill sent it.
type Request = http.Request

// Page is what a server of the fake answers.
type Page struct {
	// Status is 200 where it is 0.
	Status  int
	Headers []http.Field
	Body    string
	// Err is the host's refusal.
	Err error
}

// JSONPage answers with JSON.
func JSONPage(value any) *Page {
	body, err := json.Marshal(value, json.Deterministic(true))
	if err != nil {
		panic("the test's value cannot be JSON: " + err.Error())
	}
	return &Page{Body: string(body), Headers: []http.Field{{Name: "content-type", Value: "application/json"}}}
}

// Serve answers every request for this URL with a text. A URL without a query answers every query.
func (h *Host) Serve(url, body string) *Host { return h.ServePage(url, &Page{Body: body}) }

// ServePage answers every request for this URL, whatever its method.
func (h *Host) ServePage(url string, page *Page) *Host {
	return h.ServeWith(func(request Request) *Page {
		if path, _, _ := strings.Cut(request.URL, "?"); request.URL == url || path == url {
			return page
		}
		return nil
	})
}

// ServeWith answers requests by a function; nil leaves the request to the next one. What nobody answers is denied, as by a host that
// granted nothing.
func (h *Host) ServeWith(server func(Request) *Page) *Host {
	h.servers = append(h.servers, server)
	return h
}

// Sent gives all requests to servers, in order. The body of an upload is there when it was finished.
func (h *Host) Sent() []Request { return h.sent }

func (i *imports) HTTPSend(request http.Request) (int, []http.Field, []byte, error) {
	i.sent = append(i.sent, request)
	for _, server := range i.servers {
		page := server(request)
		if page == nil {
			continue
		}
		if page.Err != nil {
			return 0, nil, nil, page.Err
		}
		status := page.Status
		if status == 0 {
			status = 200
		}
		return status, page.Headers, []byte(page.Body), nil
	}
	return 0, nil, nil, ringfence.RefuseDenied(ringfence.Denial{
		Capability: "http",
		Subject:    "http " + request.Method + " " + request.URL,
		Reason:     "the fake has no answer for it",
		Hint:       "script one with `.Serve(\"https://...\", \"text\")`",
	})
}
