// Command handler is a Lambda function for provided.al2023: a hand-written loop over the Runtime API. What it does
// about an event, it asks a ledger, so that tests see every invocation begin and end and decide how it goes.
//
// POST $LEDGER/begin brings the event and the header Request-Id; the answer, which may take its time, is an e2e.Order.
// POST $LEDGER/end comes before the function answers.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/shardmill/shardmill/e2e"
)

func main() {
	for {
		if err := invocation(os.Getenv("AWS_LAMBDA_RUNTIME_API"), os.Getenv("LEDGER")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func invocation(api, ledger string) error {
	base := "http://" + api + "/2018-06-01/runtime/invocation/"
	resp, err := http.Get(base + "next")
	if err != nil {
		return err
	}
	id := resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
	event, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return err
	}
	var order e2e.Order
	answer, err := post(ledger+"/begin", id, event)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, &order); err != nil {
		return fmt.Errorf("the ledger answered %q", answer)
	}
	if order.WorkMillis > 0 {
		<-time.After(time.Duration(order.WorkMillis) * time.Millisecond)
	}
	fmt.Println("handled", id)
	if _, err := post(ledger+"/end", id, nil); err != nil {
		return err
	}
	path, body := "/response", []byte(order.Response)
	if order.Response == nil {
		body = []byte("null")
	}
	if order.Fail != "" {
		path = "/error"
		if body, err = json.Marshal(map[string]string{"errorType": "Refused", "errorMessage": order.Fail}); err != nil {
			return err
		}
	}
	_, err = post(base+id+path, id, body)
	return err
}

func post(url, id string, body []byte) ([]byte, error) {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Request-Id", id)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s answered %s: %s", url, resp.Status, b)
	}
	return b, err
}
