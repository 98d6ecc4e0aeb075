// Asks Argo CD's own code what it thinks of a credential.
//
// It reads a question a line as JSON and writes an answer a line, in any order: each session manager waits a tenth of
// a second for its informers, and a login sleeps, so that many are asked at a time.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/sirupsen/logrus"
)

const (
	namespace = "argocd"
	atATime   = 128
)

// object is a ConfigMap or a Secret; the values of a Secret are in base64.
type object[V any] struct {
	Labels map[string]string `json:"labels"`
	Data   map[string]V      `json:"data"`
}

// question is a state of Argo CD, and a token or a user with a password.
type question struct {
	ID        int             `json:"id"`
	ConfigMap *object[string] `json:"configMap"`
	Secret    *object[[]byte] `json:"secret"`
	ServerTLS *object[[]byte] `json:"serverTLS"`
	Token     *string         `json:"token"`
	User      string          `json:"user"`
	Password  string          `json:"password"`
}

// answer is "accepted" or why not: as Argo CD runs, and after the next start of argocd-server.
type answer struct {
	ID    int    `json:"id"`
	Now   string `json:"now"`
	Later string `json:"later"`
}

func meta(name string, labels map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: labels}
}

func (q *question) objects() []runtime.Object {
	var objects []runtime.Object
	if q.ConfigMap != nil {
		objects = append(objects, &corev1.ConfigMap{ObjectMeta: meta("argocd-cm", q.ConfigMap.Labels), Data: q.ConfigMap.Data})
	}
	secret := func(name string, of *object[[]byte]) {
		if of != nil {
			objects = append(objects, &corev1.Secret{ObjectMeta: meta(name, of.Labels), Data: of.Data})
		}
	}
	secret("argocd-secret", q.Secret)
	secret("argocd-server-tls", q.ServerTLS)
	return objects
}

// ask never fails: a panic of Argo CD, as where its settings cannot be read, is a verdict too.
func (q *question) ask(start bool) (verdict string) {
	defer func() {
		if panicked := recover(); panicked != nil {
			verdict = fmt.Sprintf("panic: %v", panicked)
		}
	}()
	// Argo CD's informers run until this ends.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var clients kubernetes.Interface = fake.NewClientset(q.objects()...)
	if start {
		if err := initialize(ctx, clients); err != nil {
			return "start: " + err.Error()
		}
	}
	if err := decide(ctx, clients, q); err != nil {
		return err.Error()
	}
	return "accepted"
}

func main() {
	logrus.SetOutput(io.Discard)
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	encoder := json.NewEncoder(os.Stdout)
	var writing sync.Mutex
	var asking sync.WaitGroup
	places := make(chan struct{}, atATime)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var asked question
			if err := json.Unmarshal(line, &asked); err != nil {
				fmt.Fprintln(os.Stderr, "not a question:", err)
				os.Exit(1)
			}
			places <- struct{}{}
			asking.Add(1)
			go func() {
				defer func() { <-places; asking.Done() }()
				// One after the other: the start writes what the other must not see yet.
				told := answer{ID: asked.ID, Now: asked.ask(false), Later: asked.ask(true)}
				writing.Lock()
				defer writing.Unlock()
				if err := encoder.Encode(told); err != nil {
					fmt.Fprintln(os.Stderr, "cannot answer:", err)
					os.Exit(1)
				}
			}()
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "cannot read:", err)
			os.Exit(1)
		}
	}
	asking.Wait()
}
