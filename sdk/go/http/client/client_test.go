package client_test

import (
	"errors"
	"io"
	nethttp "net/http"
	"strings"
	"testing"

	"ringfence"
	"ringfence/fake"
	"ringfence/http"
	"ringfence/http/client"
)

func TestAClientOfNetHTTPAsksTheHost(t *testing.T) {
	moved := &fake.Page{Status: 302, Headers: []http.Field{{Name: "location", Value: "https://a.test/new"}}}
	host := fake.New(t).ServePage("https://a.test/old", moved).Serve("https://a.test/new", "hello")
	answer, err := client.New(host.Context()).Get("https://a.test/old")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || string(body) != "hello" || answer.StatusCode != 200 {
		t.Errorf("got %q with %s, %v", body, answer.Status, err)
	}
}

func TestRefusalsAndBodiesPassThrough(t *testing.T) {
	host := fake.New(t)
	request, err := nethttp.NewRequest("POST", "https://b.test/", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer {{secret:T}}")
	_, err = client.New(host.Context()).Do(request)
	var refusal *ringfence.Refusal
	if !errors.As(err, &refusal) || refusal.Kind != ringfence.Denied {
		t.Errorf("gave %v", err)
	}
	sent := host.Sent()[0]
	if string(sent.Body) != "body" || len(sent.Headers) != 1 || sent.Headers[0].Value != "Bearer {{secret:T}}" {
		t.Errorf("sent %+v", sent)
	}
}
