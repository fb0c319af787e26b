package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Part is a stretch of a text.
type Part struct {
	// Text is what stands there, without blank lines at its ends; a piece of a long code block has its fences again.
	Text string
	// Start and End say where it stands, in bytes.
	Start, End int
	// Section is the headings above its beginning, outermost first.
	Section []string
}

// Split divides a text or Markdown into parts of at most so many tokens (by estimate) that follow each other.
//
// A part ends at a heading where one is near, otherwise between paragraphs; a paragraph is divided only where it alone is too large,
// between lines, sentences or words. Code between fences is divided only where it alone is too large, between lines, and each piece is
// fenced. A blank text has no parts.
func Split(text string, tokens int) []Part {
	total := EstimateTokens(text)
	tokens = max(tokens, 1)
	if total <= tokens {
		if whole := trimmed(text); whole != "" {
			return []Part{{Text: whole, Start: 0, End: len(text)}}
		}
		return nil
	}
	// Parts of about one size: the last one would otherwise often be a crumb.
	count := (total + tokens - 1) / tokens
	even := (total + count - 1) / count
	p := packer{text: text, target: min(even+even/8, tokens)}
	for _, block := range blocks(text) {
		p.block(block, tokens)
	}
	p.flush()
	return p.parts
}

type atom struct {
	start, end, size int
	heading          bool
	section          []string
}

type title struct {
	level int
	text  string
}

type packer struct {
	text    string
	target  int
	parts   []Part
	open    []atom // what the next part is made of
	size    int
	section []title // above what comes next
}

func (p *packer) block(b block, limit int) {
	source := p.text[b.start:b.end]
	if EstimateTokens(source) <= limit {
		if b.level == 0 {
			p.add(b.start, b.end, false)
			return
		}
		// A heading ends the sections at and below its level, and a part that is large enough.
		kept := p.section[:0:0]
		for _, above := range p.section {
			if above.level < b.level {
				kept = append(kept, above)
			}
		}
		p.section = kept
		if p.size > p.target/2 {
			p.flush()
		}
		p.add(b.start, b.end, true)
		// Pushed after the heading was added: a part that begins with it needs no mention of it.
		p.section = append(p.section, title{b.level, b.title})
		return
	}
	if b.fence != "" {
		p.longCode(b, source, limit)
		return
	}
	for _, piece := range divide(source, limit) {
		p.add(b.start+piece.start, b.start+piece.end, false)
	}
}

func (p *packer) add(start, end int, heading bool) {
	size := EstimateTokens(p.text[start:end])
	if len(p.open) > 0 && p.size+size > p.target {
		p.flushBeforeHeadings()
	}
	p.open = append(p.open, atom{start, end, size, heading, p.titles()})
	p.size += size
}

func (p *packer) titles() []string {
	var titles []string
	for _, above := range p.section {
		titles = append(titles, above.text)
	}
	return titles
}

// flushBeforeHeadings ends the part, but lets headings at its end begin the next one.
func (p *packer) flushBeforeHeadings() {
	body := len(p.open)
	for body > 0 && p.open[body-1].heading {
		body--
	}
	if body == 0 {
		return
	}
	headings := append([]atom(nil), p.open[body:]...)
	p.open = p.open[:body]
	p.flush()
	for _, heading := range headings {
		p.size += heading.size
	}
	p.open = headings
}

func (p *packer) flush() {
	open := p.open
	p.open, p.size = nil, 0
	if len(open) > 0 {
		start, end := open[0].start, open[len(open)-1].end
		p.push(trimmed(p.text[start:end]), start, end, open[0].section)
	}
}

func (p *packer) push(text string, start, end int, section []string) {
	if strings.TrimSpace(text) != "" {
		p.parts = append(p.parts, Part{text, start, end, section})
	}
}

// longCode makes pieces of whole lines, each between fences of its own.
func (p *packer) longCode(b block, source string, limit int) {
	p.flush()
	room := max(limit-EstimateTokens(b.opening)-EstimateTokens(b.fence)-2, 1)
	for _, piece := range divide(source, room) {
		lines := strings.Trim(source[piece.start:piece.end], "\r\n")
		lines = strings.TrimPrefix(lines, b.opening)
		lines = strings.Trim(strings.TrimSuffix(strings.TrimRightFunc(lines, unicode.IsSpace), b.fence), "\r\n")
		if strings.TrimSpace(lines) != "" {
			p.push(b.opening+"\n"+lines+"\n"+b.fence, b.start+piece.start, b.start+piece.end, p.titles())
		}
	}
}

// trimmed is without blank lines before and blank space behind; the indentation of the first line stays.
func trimmed(text string) string {
	return strings.TrimRightFunc(strings.Trim(text, "\r\n"), unicode.IsSpace)
}

type span struct{ start, end int }

// divide divides a text that is too large: between lines where they fit, otherwise between sentences, words, and at last characters.
func divide(text string, limit int) []span {
	var pieces, joined []span
	refine(text, 0, limit, 0, &pieces)
	size := 0
	for _, piece := range pieces {
		// Each piece is rounded up by itself, so that the sum is never below the whole.
		more := EstimateTokens(text[piece.start:piece.end])
		if len(joined) > 0 && size+more <= limit {
			joined[len(joined)-1].end = piece.end
			size += more
			continue
		}
		joined = append(joined, piece)
		size = more
	}
	return joined
}

var levels = [...]func(string) int{lineEnd, sentenceEnd, wordEnd, characterEnd}

func refine(text string, start, limit, level int, pieces *[]span) {
	for len(text) > 0 {
		end := levels[level](text)
		if level == len(levels)-1 || EstimateTokens(text[:end]) <= limit {
			*pieces = append(*pieces, span{start, start + end})
		} else {
			refine(text[:end], start, limit, level+1, pieces)
		}
		start += end
		text = text[end:]
	}
}

func lineEnd(text string) int {
	if at := strings.IndexByte(text, '\n'); at >= 0 {
		return at + 1
	}
	return len(text)
}

// sentenceEnd is behind the blanks that follow a full stop, or behind one that needs no blank.
func sentenceEnd(text string) int {
	for at, c := range text {
		end := at + utf8.RuneLen(c)
		switch c {
		case '.', '!', '?':
			rest := strings.TrimLeft(text[end:], ".!?\"')]\u201d\u2019")
			blanks := len(rest) - len(strings.TrimLeftFunc(rest, unicode.IsSpace))
			if blanks > 0 {
				return len(text) - len(rest) + blanks
			}
		case '。', '！', '？':
			return end
		}
	}
	return len(text)
}

// wordEnd is behind the blanks that follow a word. Scripts without blanks are divided between characters.
func wordEnd(text string) int {
	blank := false
	for at, c := range text {
		if unicode.IsSpace(c) {
			blank = true
		} else if blank {
			return at
		}
	}
	return len(text)
}

// characterEnd is behind a character with what belongs to it: marks, joiners, selectors, skin tones.
func characterEnd(text string) int {
	joined := false
	for at, c := range text {
		if at > 0 && !joined && !unicode.In(c, unicode.M) && c != '\u200d' && (c < 0x1f3fb || c > 0x1f3ff) {
			return at
		}
		joined = c == '\u200d'
	}
	return len(text)
}
