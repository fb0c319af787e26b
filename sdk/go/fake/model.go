package fake

import (
	"strings"

	"ringfence/model"
)

// Answer has the next answer to a model call: a text, or a Reply.
//
// Answers are found in this order: the first rule that has one (AnswerWhen, AnswerWith), then the next scripted one. Where there is none
// the test fails.
func (h *Host) Answer(reply any) *Host {
	h.t.Helper()
	h.answers = append(h.answers, h.reply(reply))
	return h
}

// AnswerWhen has the answer to every model call whose messages contain these words: a text, or a Reply.
func (h *Host) AnswerWhen(words string, reply any) *Host {
	h.t.Helper()
	made := h.reply(reply)
	return h.AnswerWith(func(request *model.Request) *Reply {
		if strings.Contains(request.Prompt(), words) {
			return &made
		}
		return nil
	})
}

// AnswerWith answers model calls by a function; nil leaves the call to the next rule.
func (h *Host) AnswerWith(rule func(*model.Request) *Reply) *Host {
	h.rules = append(h.rules, rule)
	return h
}

// Refuse refuses the next model call, or breaks its generation when it is read.
func (h *Host) Refuse(err error) *Host { return h.Answer(Refusal(err)) }

// Vectors has vectors for the next embeddings, one per input.
func (h *Host) Vectors(vectors ...[]float32) *Host {
	h.vectors = append(h.vectors, vectors...)
	return h
}

// Model has a model that the skill may use.
func (h *Host) Model(name string, maxTokens, contextWindow uint32) *Host {
	h.models = append(h.models, model.Info{Name: name, MaxTokens: maxTokens, ContextWindow: contextWindow, Local: true})
	return h
}

// Requests gives all requests to models, in order.
func (h *Host) Requests() []*model.Request { return h.requests }

// Prompts gives the text of each request, its messages joined by blank lines.
func (h *Host) Prompts() []string {
	prompts := make([]string, len(h.requests))
	for at, request := range h.requests {
		prompts[at] = request.Prompt()
	}
	return prompts
}

func (h *Host) reply(reply any) Reply {
	h.t.Helper()
	switch reply := reply.(type) {
	case Reply:
		return reply
	case string:
		return Say(reply)
	}
	// A value is answered as its JSON, as a model answers that was asked for a type.
	return Say(h.json(reply))
}

func (i *imports) next(request *model.Request) Reply {
	i.t.Helper()
	copied := *request
	copied.Messages = append([]model.Message(nil), request.Messages...)
	i.requests = append(i.requests, &copied)
	for _, rule := range i.rules {
		if reply := rule(request); reply != nil {
			return *reply
		}
	}
	if len(i.answers) == 0 {
		i.fail("the skill asked a model and the fake has no answer for it: script one with `.Answer(\"...\")`. It asked:\n%s", request.Prompt())
	}
	reply := i.answers[0]
	i.answers = i.answers[1:]
	return reply
}

func (i *imports) ModelGenerate(request *model.Request) (*model.Response, error) {
	return i.next(request).response(request)
}

func (i *imports) ModelOpen(request *model.Request) (func() ([]model.Event, error), func(), error) {
	reply := i.next(request)
	events := reply.events(request)
	next := func() ([]model.Event, error) {
		if len(events) == 0 {
			return nil, nil
		}
		// One event at a time, so that a test sees every place where a reader can stop.
		event := events[0]
		events = events[1:]
		if event.err != nil {
			return nil, event.err
		}
		return []model.Event{event.event}, nil
	}
	return next, i.opened(), nil
}

func (i *imports) ModelEmbed(name string, inputs []string) (*model.Embeddings, error) {
	if len(i.vectors) < len(inputs) {
		i.fail("the skill embedded %d texts and the fake has %d vectors left: give it more with `.Vectors(...)`", len(inputs), len(i.vectors))
	}
	made := &model.Embeddings{Vectors: i.vectors[:len(inputs)], Model: "fake/" + name}
	for _, input := range inputs {
		made.Usage.InputTokens += tokens(input)
	}
	i.vectors = i.vectors[len(inputs):]
	return made, nil
}

func (i *imports) Models() []model.Info { return i.models }
