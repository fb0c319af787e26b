package model

import (
	"encoding/json/v2"
	"fmt"

	"ringfence"
)

// StopReason says why the answer ended.
type StopReason string

const (
	// StopEnd: the answer is complete.
	StopEnd StopReason = "end"
	// StopMaxTokens: it was cut.
	StopMaxTokens StopReason = "max-tokens"
	// StopToolCall: the model waits for tool results.
	StopToolCall StopReason = "tool-call"
	// StopRefused: the provider or the model declined to answer.
	StopRefused  StopReason = "refused"
	StopSequence StopReason = "stop-sequence"
)

// Usage is what an answer used, in tokens.
type Usage struct {
	// InputTokens is all input, cached or not.
	InputTokens       uint64
	CachedInputTokens uint64
	CacheWriteTokens  uint64
	// OutputTokens is all output, with reasoning.
	OutputTokens    uint64
	ReasoningTokens uint64
	// MicroDollars is the cost in millionths of a US dollar; nil where the price is not known.
	MicroDollars *uint64
}

// Response is an answer.
type Response struct {
	Message    Message
	StopReason StopReason
	// Model is who answered, as `provider/model`.
	Model string
	Usage Usage
}

// Text gives the answer's text.
func (response *Response) Text() string { return response.Message.Text() }

// Cut says whether the answer was cut at its largest length.
func (response *Response) Cut() bool { return response.StopReason == StopMaxTokens }

// Decode reads the answer's text as JSON.
func (response *Response) Decode(value any) error {
	if err := json.Unmarshal([]byte(response.Text()), value); err != nil {
		why := err.Error()
		if response.Cut() {
			why = "it was cut at its largest length"
		}
		return ringfence.Refuse(ringfence.Invalid, fmt.Sprintf("the answer of %s is not the JSON that was asked for: %s", response.Model, why))
	}
	return nil
}
