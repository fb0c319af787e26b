package main

import (
	"ringfence"
	"ringfence/http"
)

func init() {
	ringfence.Tool("fetch", "Gets a URL.", fetch, ringfence.OpenWorld)
	ringfence.Tool("fetch_many", "Gets many URLs at once.", fetchMany, ringfence.OpenWorld)
	ringfence.Tool("send_up", "Posts a body piece by piece.", sendUp, ringfence.OpenWorld)
}

type Fetch struct {
	URL    string  `json:"url"`
	Header *string `json:"header"`
}

type Fetched struct {
	Status int    `json:"status"`
	Body   string `json:"body"`
}

func fetch(ctx *ringfence.Context, in Fetch) (Fetched, error) {
	var options []http.Option
	if in.Header != nil {
		options = append(options, http.Header("authorization", *in.Header))
	}
	return body(http.Get(ctx, in.URL, options...))
}

func body(page *http.Response, err error) (Fetched, error) {
	if err != nil {
		return Fetched{}, err
	}
	text, err := page.Text()
	return Fetched{page.Status, text}, err
}

type URLs struct {
	URLs []string `json:"urls"`
}

type Bodies struct {
	Bodies []string `json:"bodies"`
}

func fetchMany(ctx *ringfence.Context, in URLs) (Bodies, error) {
	var requests []*http.Request
	for _, url := range in.URLs {
		requests = append(requests, http.NewRequest("GET", url))
	}
	var out Bodies
	for page, err := range http.Parallel(ctx, len(requests), requests) {
		fetched, err := body(page, err)
		if err != nil {
			return out, err
		}
		out.Bodies = append(out.Bodies, fetched.Body)
	}
	return out, nil
}

type SendUp struct {
	URL    string   `json:"url"`
	Chunks []string `json:"chunks"`
}

func sendUp(ctx *ringfence.Context, in SendUp) (Fetched, error) {
	upload, err := http.Begin(ctx, "POST", in.URL)
	if err != nil {
		return Fetched{}, err
	}
	defer upload.Cancel()
	for _, chunk := range in.Chunks {
		if _, err := upload.Write([]byte(chunk)); err != nil {
			return Fetched{}, err
		}
	}
	return body(upload.Finish())
}
