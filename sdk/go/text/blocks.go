package text

import (
	"strings"
	"unicode"
)

// block is a stretch of a text with the blank lines after it: a heading, code between fences, or a paragraph. Blocks follow each other
// without gaps.
type block struct {
	start, end int
	level      int    // of a heading, otherwise 0
	title      string // of a heading
	opening    string // the line that opens code
	fence      string // what ends code, otherwise empty
}

func blocks(text string) []block {
	var all []block
	fence, closed := "", true
	for at := 0; at < len(text); {
		end := at + lineEnd(text[at:])
		line := text[at:end]
		start := at
		at = end
		if fence != "" {
			if bare := strings.TrimSpace(line); strings.HasPrefix(bare, fence) && strings.Trim(bare, fence[:1]) == "" {
				fence, closed = "", true
			}
			all[len(all)-1].end = end
			continue
		}
		if strings.TrimSpace(line) == "" {
			closed = true
			if len(all) > 0 {
				all[len(all)-1].end = end
				continue
			}
			all = append(all, block{start: start, end: end})
			continue
		}
		if mark := opens(line); mark != "" {
			opening := strings.TrimRightFunc(line, unicode.IsSpace)
			all = append(all, block{start: start, end: end, opening: opening, fence: mark})
			fence, closed = mark, false
		} else if level, title := heading(line); level > 0 {
			all = append(all, block{start: start, end: end, level: level, title: title})
			closed = true
		} else if closed {
			all = append(all, block{start: start, end: end})
			closed = false
		} else {
			all[len(all)-1].end = end
		}
	}
	return all
}

// opens gives the closing marker of the code fence that this line opens (CommonMark: three or more backticks or tildes, at most three
// spaces before them).
func opens(line string) string {
	bare := strings.TrimLeft(line, " ")
	if len(line)-len(bare) > 3 || bare == "" || bare[0] != '`' && bare[0] != '~' {
		return ""
	}
	info := strings.TrimLeft(bare, bare[:1])
	length := len(bare) - len(info)
	if length < 3 || bare[0] == '`' && strings.Contains(info, "`") {
		return ""
	}
	return bare[:length]
}

// heading gives the level and title of an ATX heading, or level 0.
func heading(line string) (int, string) {
	rest := strings.TrimLeft(line, "#")
	level := len(line) - len(rest)
	if level < 1 || level > 6 || rest == "" || !strings.ContainsAny(rest[:1], " \t\r\n") {
		return 0, ""
	}
	return level, strings.TrimSpace(strings.TrimRight(strings.TrimSpace(rest), "#"))
}
