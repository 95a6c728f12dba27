package delivery_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/riffletrace/riffle/core/delivery"
)

func TestCompression(t *testing.T) {
	random := make([]byte, 100_000)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	for _, c := range []delivery.Compression{delivery.None, delivery.Gzip, delivery.Zstd, delivery.Snappy} {
		t.Run(string(c), func(t *testing.T) {
			for name, body := range map[string][]byte{
				"empty": {}, "text": bytes.Repeat([]byte("spans "), 100_000), "little text": bytes.Repeat([]byte("spans "), 1000), "random": random,
			} {
				compressed := c.Compress(body)
				if cap(compressed) > len(compressed)+len(compressed)/8+64 {
					t.Errorf("%s: %d bytes in memory of %d", name, len(compressed), cap(compressed))
				}
				if name != "random" && name != "empty" && c != delivery.None && len(compressed) > len(body)/10 {
					t.Errorf("%s: %d of %d bytes are left", name, len(compressed), len(body))
				}
				c.Compress(random) // whose memory must be other
				got, err := c.Decompress(compressed)
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("%s: got %d bytes and %v, want %d", name, len(got), err, len(body))
				}
				if c == delivery.None || len(compressed) == 0 {
					continue
				}
				if got, err := c.Decompress(compressed[:len(compressed)-1]); err == nil && bytes.Equal(got, body) {
					t.Errorf("%s: cut short, it is the same", name)
				}
			}
		})
	}
}

// Little traffic does not make a compressor that stays: it would be most of the heap
// that riffle has.
func TestCompressorOfLittle(t *testing.T) {
	little := bytes.Repeat([]byte("spans "), 10_000)
	delivery.ForgetCompressors()
	delivery.Gzip.Compress(little)
	if delivery.KeepsGzip() {
		t.Error("a writer of gzip stays behind")
	}
	delivery.Gzip.Compress(bytes.Repeat(little, 10))
	if !delivery.KeepsGzip() {
		t.Error("a large batch leaves no writer for the next")
	}
}

// A body that says it is larger than any can be is not made room for.
func TestTooLargeToDecompress(t *testing.T) {
	claim := binary.AppendUvarint(nil, 1<<30)
	const want = "more than 268435456 bytes"
	if _, err := delivery.Snappy.Decompress(append(claim, 0)); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	claim = binary.AppendUvarint(nil, 200<<20)
	if n := testing.AllocsPerRun(1, func() { _, _ = delivery.Snappy.Decompress(append(claim, 0)) }); n > 2 {
		t.Errorf("%v allocations for a body that cannot be", n)
	}
	if _, err := delivery.Snappy.Decompress(append(claim, 0)); err == nil || err.Error() != "it claims to be larger than it can be" {
		t.Errorf("got %v", err)
	}
}

// A body is not larger than it can be, and the same when it went there and back.
func FuzzDecompress(f *testing.F) {
	all := []delivery.Compression{delivery.None, delivery.Gzip, delivery.Zstd, delivery.Snappy}
	for i, c := range all {
		f.Add(i, c.Compress(bytes.Repeat([]byte("spans "), 1000)))
		f.Add(i, []byte{0xff, 0xff, 0xff, 0x7f, 0})
		f.Add(i, []byte{})
	}
	f.Fuzz(func(t *testing.T, i int, body []byte) {
		c := all[min(uint(i), uint(len(all)-1))]
		got, err := c.Decompress(body)
		if len(got) > 256<<20+1 || c == delivery.Snappy && len(got) > 64*len(body) {
			t.Fatalf("%s: %d bytes of %d", c, len(got), len(body))
		}
		if err != nil || len(got) > 1<<20 { // which would take the fuzzer long
			return
		}
		again, err := c.Decompress(c.Compress(got))
		if err != nil || !bytes.Equal(again, got) {
			t.Errorf("%s: %d bytes became %d: %v", c, len(got), len(again), err)
		}
	})
}
