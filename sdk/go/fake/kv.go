package fake

import (
	"encoding/json/v2"
	"fmt"
	"sort"
	"strings"
	"unicode"

	"ringfence"
	"ringfence/kv"
)

const largestValue = 1 << 20

// Store has a stored value, as JSON.
func (h *Host) Store(key string, value any) *Host {
	h.t.Helper()
	h.write(key, []byte(h.json(value)))
	return h
}

// RefuseKv refuses the next call of kv.
func (h *Host) RefuseKv(err error) *Host {
	h.refusals = append(h.refusals, err)
	return h
}

// Race lets another invocation write this just before the skill's next conditional write of the key.
func (h *Host) Race(key string, value any) *Host {
	h.t.Helper()
	h.races[key] = []byte(h.json(value))
	return h
}

// Stored reads a stored value, and says whether there is one.
func (h *Host) Stored(key string, value any) bool {
	h.t.Helper()
	entry, ok := h.stored[key]
	if !ok {
		return false
	}
	if err := json.Unmarshal(entry.Value, value); err != nil {
		h.t.Fatalf("what is stored under `%s` is something else: %s", key, err)
	}
	return true
}

func (h *Host) write(key string, value []byte) uint64 {
	h.last++
	h.stored[key] = kv.Entry{Value: value, Version: h.last}
	return h.last
}

func (i *imports) refused(key string) error {
	if len(i.refusals) > 0 {
		err := i.refusals[0]
		i.refusals = i.refusals[1:]
		return err
	}
	if key == "" || len(key) > 256 || strings.ContainsFunc(key, unicode.IsControl) {
		return ringfence.Refuse(ringfence.Invalid, fmt.Sprintf("%q cannot be a key: 1 to 256 bytes without control characters", key))
	}
	return nil
}

func (i *imports) KvGet(key string) (*kv.Entry, error) {
	if err := i.refused(key); err != nil {
		return nil, err
	}
	if entry, ok := i.stored[key]; ok {
		entry.Value = append([]byte(nil), entry.Value...)
		return &entry, nil
	}
	return nil, nil
}

func (i *imports) KvSet(key string, value []byte, condition kv.Condition) (kv.Written, error) {
	if len(value) > largestValue {
		return kv.Written{}, ringfence.RefuseTooLarge(ringfence.Excess{What: "kv value", Limit: largestValue, Actual: uint64(len(value))})
	}
	if err := i.refused(key); err != nil {
		return kv.Written{}, err
	}
	if theirs, ok := i.races[key]; ok && condition != kv.Always {
		delete(i.races, key)
		i.write(key, theirs)
	}
	if version := i.stored[key].Version; !condition.Holds(version) {
		return kv.Written{Version: version}, nil
	}
	return kv.Written{Done: true, Version: i.write(key, append([]byte(nil), value...))}, nil
}

func (i *imports) KvDelete(key string, condition kv.Condition) (kv.Written, error) {
	if err := i.refused(key); err != nil {
		return kv.Written{}, err
	}
	if version := i.stored[key].Version; !condition.Holds(version) {
		return kv.Written{Version: version}, nil
	}
	delete(i.stored, key)
	return kv.Written{Done: true}, nil
}

func (i *imports) KvList(prefix, cursor string, limit uint32) ([]string, string, error) {
	if err := i.refused("keys"); err != nil {
		return nil, "", err
	}
	if limit == 0 {
		limit = 100
	}
	var keys []string
	for key := range i.stored {
		if strings.HasPrefix(key, prefix) && key > cursor {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	if len(keys) > int(min(limit, 1000)) {
		keys = keys[:min(limit, 1000)]
		return keys, keys[len(keys)-1], nil
	}
	return keys, "", nil
}
