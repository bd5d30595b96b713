// Runs a script, and reads its answer: go run run.go [URL]
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

type request struct {
	Script string `json:"script"`
	Input  any    `json:"input,omitempty"`
}

type answer struct {
	Result json.RawMessage `json:"result"` // as it came: an integer may have any size
	Stdout string          `json:"stdout"`
	Error  string          `json:"error"`
}

// execute gives the answer and how the run ended. A script that fails is an answer like any other.
func execute(ctx context.Context, url string, what request) (*answer, string, error) {
	body, err := json.Marshal(what)
	if err != nil {
		return nil, "", err
	}
	ask, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/execute", bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	response, err := http.DefaultClient.Do(ask)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	var got answer
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		return nil, "", err
	}
	return &got, response.Header.Get("Execution-Outcome"), nil
}

func main() {
	url := "http://127.0.0.1:8080"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	// A client that goes away cancels its run.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, what := range []request{
		{Script: "def main(n):\n    print('hi')\n    return 2 ** n", Input: 100},
		{Script: "def main(): return [][0]"},
	} {
		got, outcome, err := execute(ctx, url, what)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s %q %s\n", outcome, got.Result, got.Stdout, got.Error)
	}
}
