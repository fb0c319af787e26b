package http

import (
	"encoding/json/v2"
	"fmt"
	"io"
	"strings"

	"ringfence"
)

// source is a response at the host, or at the fake.
type source interface {
	Head() (status int, url string, headers []Field)
	Read(max uint32) ([]byte, error)
	Drop()
}

// Response is a response whose head is there. It is an io.ReadCloser of its body, which comes as it is read; Text, Bytes and JSON read
// the rest and close it.
type Response struct {
	Status int
	// URL is where it came from in the end.
	URL string
	// Headers are all headers, names in lower case.
	Headers []Field

	inner source
	rest  []byte
}

var _ io.ReadCloser = (*Response)(nil)

func newResponse(inner source, err error) (*Response, error) {
	if err != nil {
		return nil, err
	}
	status, url, headers := inner.Head()
	return &Response{Status: status, URL: url, Headers: headers, inner: inner}, nil
}

// Header gives the first value of a header, or the empty text.
func (response *Response) Header(name string) string {
	for _, field := range response.Headers {
		if strings.EqualFold(field.Name, name) {
			return field.Value
		}
	}
	return ""
}

// ErrorForStatus makes a refusal of a status of 400 or above: Unavailable where trying again later may help, otherwise Invalid. The
// response is closed then.
func (response *Response) ErrorForStatus() error {
	status := response.Status
	if status < 400 {
		return nil
	}
	response.Close()
	kind := ringfence.Invalid
	if status == 408 || status == 425 || status == 429 || status >= 500 {
		kind = ringfence.Unavailable
	}
	return ringfence.Refuse(kind, fmt.Sprintf("`%s` answered with status %d", response.place(), status))
}

// Read reads from the body. Waits for the next bytes.
func (response *Response) Read(buffer []byte) (int, error) {
	if len(buffer) == 0 {
		return 0, nil
	}
	if len(response.rest) == 0 {
		if response.inner == nil {
			return 0, io.EOF
		}
		piece, err := response.inner.Read(uint32(min(len(buffer), 1<<20)))
		if err != nil {
			return 0, err
		}
		if len(piece) == 0 {
			response.Close()
			return 0, io.EOF
		}
		response.rest = piece
	}
	n := copy(buffer, response.rest)
	response.rest = response.rest[n:]
	return n, nil
}

// Close closes the connection. What was not read is lost.
func (response *Response) Close() error {
	if response.inner != nil {
		response.inner.Drop()
		response.inner = nil
	}
	return nil
}

// Bytes reads the rest of the body.
func (response *Response) Bytes() ([]byte, error) {
	defer response.Close()
	all := response.rest
	response.rest = nil
	for response.inner != nil {
		piece, err := response.inner.Read(0)
		if err != nil {
			return nil, err
		}
		if len(piece) == 0 {
			break
		}
		all = append(all, piece...)
	}
	return all, nil
}

// Text reads the rest of the body as text. What is no UTF-8 becomes the replacement character.
func (response *Response) Text() (string, error) {
	all, err := response.Bytes()
	return strings.ToValidUTF8(string(all), "\uFFFD"), err
}

// JSON reads the rest of the body into a value.
func (response *Response) JSON(value any) error {
	all, err := response.Bytes()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(all, value); err != nil {
		return ringfence.Refuse(ringfence.Invalid, fmt.Sprintf("what `%s` answered is not what was expected: %s", response.place(), err))
	}
	return nil
}

// place is the URL without its query, which may hold what is nobody else's business.
func (response *Response) place() string {
	place, _, _ := strings.Cut(response.URL, "?")
	return place
}
