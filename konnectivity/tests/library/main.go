// What upstream's client library does through a Konnectivity server: single-use and reusable tunnels.
//
//	library KIND TARGET ECHO CLOSED [CA CERTIFICATE KEY]
//
// KIND is single or reusable; TARGET is unix:PATH, or HOST:PORT with the files of TLS; ECHO sends back what it gets; at
// CLOSED nobody listens. Prints "ok", or ends with what was wrong.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"sigs.k8s.io/apiserver-network-proxy/konnectivity-client/pkg/client"
	"sigs.k8s.io/apiserver-network-proxy/konnectivity-client/pkg/client/metrics"
)

const (
	streams  = 20
	length   = 512 * 1024
	patience = 30 * time.Second
)

// A way to dial, and how it is ended.
type way struct {
	dial func(ctx context.Context, address string) (net.Conn, error)
	end  func() error
}

func main() {
	kind, target, echo, closed := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	made, err := open(ctx, kind, target, os.Args[5:])
	check("the tunnel", err)
	oneAfterAnother(ctx, made, echo)
	atOnce(ctx, made, echo)
	refused(ctx, made, closed)
	givenUp(made, echo)
	check("a dial after one that was given up", exchange(ctx, made, echo, 1))
	check("the end", made.end())
	fmt.Println("ok")
}

func check(what string, err error) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}

func options(files []string) ([]grpc.DialOption, error) {
	if len(files) == 0 {
		return []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, nil
	}
	authority, err := os.ReadFile(files[0])
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(files[1], files[2])
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	config := &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}
	return []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(config))}, nil
}

func open(ctx context.Context, kind, target string, files []string) (way, error) {
	options, err := options(files)
	if err != nil {
		return way{}, err
	}
	if kind == "reusable" {
		tunnel, err := client.CreateGRPCTunnel(ctx, target, options...)
		if err != nil {
			return way{}, err
		}
		dial := func(ctx context.Context, address string) (net.Conn, error) {
			return tunnel.DialContext(ctx, "tcp", address)
		}
		return way{dial, tunnel.Close}, nil
	}
	dial := func(dialling context.Context, address string) (net.Conn, error) {
		tunnel, err := client.CreateSingleUseGrpcTunnelWithContext(dialling, ctx, target, options...)
		if err != nil {
			return nil, err
		}
		return tunnel.DialContext(dialling, "tcp", address)
	}
	return way{dial, func() error { return nil }}, nil
}

// exchange sends bytes and hears them back.
func exchange(ctx context.Context, made way, address string, seed int64) error {
	stream, err := made.dial(ctx, address)
	if err != nil {
		return err
	}
	defer stream.Close()
	sent := make([]byte, length)
	rand.New(rand.NewSource(seed)).Read(sent)
	written := make(chan error, 1)
	go func() {
		_, err := stream.Write(sent)
		written <- err
	}()
	heard := make([]byte, length)
	if _, err := io.ReadFull(stream, heard); err != nil {
		return fmt.Errorf("after the dial: %w", err)
	}
	if err := <-written; err != nil {
		return err
	}
	if !bytes.Equal(sent, heard) {
		return fmt.Errorf("other bytes came back")
	}
	return nil
}

func oneAfterAnother(ctx context.Context, made way, address string) {
	for round := range int64(5) {
		check(fmt.Sprintf("round %d", round), exchange(ctx, made, address, round))
	}
}

func atOnce(ctx context.Context, made way, address string) {
	var all sync.WaitGroup
	for seed := range int64(streams) {
		all.Add(1)
		go func() {
			defer all.Done()
			check(fmt.Sprintf("stream %d", seed), exchange(ctx, made, address, seed))
		}()
	}
	all.Wait()
}

func refused(ctx context.Context, made way, address string) {
	_, err := made.dial(ctx, address)
	if err == nil || !strings.Contains(err.Error(), "connection refused") {
		log.Fatalf("a dial that has to be refused: %v", err)
	}
	if failed, reason := client.GetDialFailureReason(err); !failed || reason != metrics.DialFailureEndpoint {
		log.Fatalf("the reason of a refused dial is %q", reason)
	}
}

func givenUp(made way, address string) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	// The library looks at the end of the context and at the answer in any order: a dial that was made is closed.
	if conn, err := made.dial(ctx, address); err == nil {
		if err := conn.Close(); err != nil {
			log.Fatalf("a dial that was given up before it began is not closed: %v", err)
		}
	}
}
