package xray_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// noKeys leaves only metadata servers to ask.
func noKeys(t *testing.T) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
}

// issuer hands out credentials that live for as long as it is told, new ones
// each time, and makes a fake know them.
type issuer struct {
	f      *fake
	life   time.Duration
	issued atomic.Int64
}

func (i *issuer) issue() string {
	n := i.issued.Add(1)
	c := aws.Credentials{
		AccessKeyID: fmt.Sprintf("ASIA%d", n), SecretAccessKey: fmt.Sprintf("secret%d", n), SessionToken: fmt.Sprintf("token%d", n),
		CanExpire: true, Expires: time.Now().Add(i.life),
	}
	i.f.set(func() { i.f.keys[c.AccessKeyID] = c })
	return fmt.Sprintf(`{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":%q,"SecretAccessKey":%q,"Token":%q,"Expiration":%q}`,
		c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.Expires.UTC().Format(time.RFC3339))
}

// metadata is IMDSv2: nothing without a token.
func (i *issuer) metadata(t *testing.T) {
	t.Helper()
	const token = "metadata-token"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case r.Method == http.MethodPut && path == "/latest/api/token":
			if r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds") == "" {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			fmt.Fprint(w, token)
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != token:
			w.WriteHeader(http.StatusUnauthorized)
		case path == "/latest/meta-data/iam/security-credentials/":
			fmt.Fprint(w, "role")
		case path == "/latest/meta-data/iam/security-credentials/role":
			fmt.Fprint(w, i.issue())
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", s.URL)
}

// container is the endpoint of a task, which wants its token.
func (i *issuer) container(t *testing.T) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "task-token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, i.issue())
	}))
	t.Cleanup(s.Close)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", s.URL+"/v2/credentials")
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "task-token")
}

func TestCredentials(t *testing.T) {
	for name, serve := range map[string]func(*issuer, *testing.T){"IMDSv2": (*issuer).metadata, "container": (*issuer).container} {
		t.Run(name, func(t *testing.T) {
			noKeys(t)
			i := &issuer{f: newFake(t), life: time.Hour}
			serve(i, t)
			e := build(t, to(i.f.Listener.Addr().String()))
			if n := i.issued.Load(); n != 0 {
				t.Errorf("credentials were asked for before there was something to send")
			}
			for range 3 {
				if err := export(t, e, "a"); err != nil {
					t.Fatal(err)
				}
			}
			if n := i.issued.Load(); n != 1 {
				t.Errorf("credentials were asked for %d times", n)
			}

			// They are taken back before their time: the next attempt has new ones.
			i.f.set(func() {
				for key, c := range i.f.keys {
					c.Expires = time.Now().Add(-time.Minute)
					i.f.keys[key] = c
				}
			})
			err := export(t, e, "b")
			if err == nil || !strings.HasSuffix(err.Error(), "says that the credentials have expired: new ones are fetched") || outcomeOf(err) != delivery.Retry {
				t.Errorf("expired: %v", err)
			}
			if err := export(t, e, "c"); err != nil {
				t.Errorf("renewed: %v", err)
			}
			if n := i.issued.Load(); n != 2 {
				t.Errorf("credentials were asked for %d times", n)
			}
		})
	}
}

// Credentials are renewed before they expire.
func TestRenewed(t *testing.T) {
	noKeys(t)
	i := &issuer{f: newFake(t), life: 30 * time.Second} // within the last minute
	i.container(t)
	e := build(t, to(i.f.Listener.Addr().String()))
	for range 3 {
		if err := export(t, e, "a"); err != nil {
			t.Fatal(err)
		}
	}
	if n := i.issued.Load(); n != 3 {
		t.Errorf("credentials were asked for %d times", n)
	}
}

// Without credentials spans wait, the message says what to do, and when there
// are some the spans arrive.
func TestNoCredentialsYet(t *testing.T) {
	noKeys(t)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	f := newFake(t)
	var ready atomic.Bool
	i := &issuer{f: f, life: time.Hour}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprint(w, i.issue())
	}))
	defer s.Close()
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", s.URL)

	c := delivery.Defaults()
	c.Send.Backoff = delivery.Backoff{Initial: component.Duration(time.Millisecond), Max: component.Duration(10 * time.Millisecond)}
	lines := &delivery.Lines{}
	e := build(t, to(f.Listener.Addr().String()))
	err := export(t, e, "a")
	if err == nil || !strings.HasPrefix(err.Error(), "no AWS credentials: give the machine or task a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (") || outcomeOf(err) != delivery.Retry {
		t.Errorf("%v", err)
	}
	l := lines.Add(e, c, delivery.Settings{})
	lines.HandOver(otlptest.SpansAt(time.Now(), "a", "b")...)
	for l.Stats().Retried == 0 {
		time.Sleep(time.Millisecond)
	}
	ready.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := l.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if got := f.received(); len(got) != 2 {
		t.Errorf("%v", got)
	}
}

// A metadata server that nobody can reach, or that never answers, delays no
// start, no end and no attempt past its time.
func TestUnreachableMetadata(t *testing.T) {
	for name, address := range map[string]string{"dead": otlptest.Dead(t), "silent": otlptest.Silent(t)} {
		t.Run(name, func(t *testing.T) {
			noKeys(t)
			t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
			t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+address)
			began := time.Now()
			c := to(newFake(t).Listener.Addr().String())
			c.Timeout = component.Duration(300 * time.Millisecond)
			e := build(t, c)
			if took := time.Since(began); took > 200*time.Millisecond {
				t.Errorf("the start took %s", took)
			}
			began = time.Now()
			err := export(t, e, "a")
			if err == nil || !strings.HasPrefix(err.Error(), "no AWS credentials: ") || outcomeOf(err) != delivery.Retry {
				t.Errorf("%v", err)
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("the attempt took %s", took)
			}
		})
	}
}

func TestSharedFile(t *testing.T) {
	noKeys(t)
	file := t.TempDir() + "/credentials"
	if err := os.WriteFile(file, []byte("[work]\naws_access_key_id = "+accessKey+"\naws_secret_access_key = "+secretKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	f := newFake(t)
	c := to(f.Listener.Addr().String())
	c.Profile = "work"
	if err := export(t, build(t, c), "a"); err != nil {
		t.Error(err)
	}
}
