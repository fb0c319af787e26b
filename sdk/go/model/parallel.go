package model

import (
	"context"
	"iter"
)

// Parallel asks many things with the same options, at most inFlight at once, and gives the answers in the order of the prompts. Each
// comes with an error of its own. Leaving the loop cancels what is still being made.
func Parallel(ctx context.Context, inFlight int, prompts []string, options ...Option) iter.Seq2[*Response, error] {
	requests := make([]*Request, len(prompts))
	for at, prompt := range prompts {
		requests[at] = NewRequest(prompt, options...)
	}
	return ParallelRequests(ctx, inFlight, requests)
}

// ParallelRequests is Parallel for requests that differ in more than the prompt.
func ParallelRequests(ctx context.Context, inFlight int, requests []*Request) iter.Seq2[*Response, error] {
	type opened struct {
		generation *Generation
		err        error
	}
	return func(yield func(*Response, error) bool) {
		rest := requests
		var open []opened
		defer func() {
			for _, one := range open {
				if one.generation != nil {
					one.generation.Cancel()
				}
			}
		}()
		for len(rest) > 0 || len(open) > 0 {
			for len(open) < max(inFlight, 1) && len(rest) > 0 {
				generation, err := OpenRequest(ctx, rest[0])
				open, rest = append(open, opened{generation, err}), rest[1:]
			}
			first := open[0]
			open = open[1:]
			var response *Response
			if first.err == nil {
				response, first.err = first.generation.Finish()
			}
			if !yield(response, first.err) {
				return
			}
		}
	}
}
