# go: a program built and run: goroutines, garbage collection, a server and its clients, commands, signals, faults.
cat > a.go <<'X'
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type tree struct{ left, right *tree }

func build(depth int) *tree {
	if depth == 0 {
		return &tree{}
	}
	return &tree{build(depth - 1), build(depth - 1)}
}

func (t *tree) count() int {
	if t.left == nil {
		return 1
	}
	return 1 + t.left.count() + t.right.count()
}

func faults() (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	var none *tree
	return fmt.Sprint(none.left)
}

func main() {
	runtime.GOMAXPROCS(4)
	var total atomic.Int64
	var group sync.WaitGroup
	for i := 0; i < 1000; i++ {
		group.Add(1)
		go func(n int) { defer group.Done(); total.Add(int64(n * n)); runtime.Gosched() }(i)
	}
	group.Wait()
	fmt.Println("goroutines", total.Load())
	// Loops without calls are interrupted by signals alone.
	var stop atomic.Bool
	for i := 0; i < 4; i++ {
		go func() {
			for n := 0; !stop.Load(); n++ {
			}
		}()
	}
	nodes := 0
	for i := 0; i < 8; i++ {
		nodes += build(13).count()
		runtime.GC()
	}
	stop.Store(true)
	fmt.Println("trees", nodes)
	fmt.Println(faults())
	listener, err := net.Listen("unix", "/tmp/place/socket")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %x", r.URL.Path, sha256.Sum256([]byte(r.URL.Path)))
	}))
	client := http.Client{Transport: &http.Transport{Dial: func(string, string) (net.Conn, error) { return net.Dial("unix", "/tmp/place/socket") }}}
	answers := make([]string, 200)
	for i := range answers {
		group.Add(1)
		go func(n int) {
			defer group.Done()
			answer, err := client.Get(fmt.Sprintf("http://local/%d", n))
			if err != nil {
				answers[n] = err.Error()
				return
			}
			body, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			answers[n] = string(body)
		}(i)
	}
	group.Wait()
	sort.Strings(answers)
	fmt.Printf("%d %x\n", len(answers), sha256.Sum256([]byte(strings.Join(answers, "\n"))))
	for i := 0; i < 10; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			if out, err := exec.Command("sh", "-c", "echo out; exit 3").Output(); string(out) != "out\n" || err.Error() != "exit status 3" {
				fmt.Println("command", string(out), err)
			}
		}()
	}
	group.Wait()
	_, err = exec.Command("/nonexistent").Output()
	fmt.Println(err)
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	fmt.Println(<-told)
	select {
	case <-told:
	case <-time.After(20 * time.Millisecond):
		fmt.Println("in time")
	}
	os.Exit(5)
}
X
export GOCACHE=/tmp/place/cache GOPATH=/tmp/place/path GOFLAGS=-mod=mod GO111MODULE=off
go build -o a a.go
echo "go build $?"
./a
echo "ended with $?"
