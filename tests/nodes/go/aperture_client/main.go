// Command aperture_client calls a method of a gRPC service and pays for it with aperture's own, unmodified client: the
// ClientInterceptor of its package l402, over lndclient. It is how released Lightning Labs clients pay.
//
// Its LND is the one of X402_NODE_LND_A_GRPC, X402_NODE_LND_A_CERT and X402_NODE_LND_A_MACAROONS (see scripts/nodes).
// It prints one line for each call and one for each token that it holds at the end:
//
//	call 1: ok 0a0568656c6c6f
//	call 2: error 8 resource exhausted
//	token: hash 5f.. paid 10000 msat fee 0 msat
//
// The token is kept in a folder, so a second call presents it again. The exit code is 0 if every call succeeded.
package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightninglabs/aperture/l402"
	"github.com/lightninglabs/lndclient"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

var (
	address = flag.String("address", "", "host and port of the service")
	method  = flag.String("method", "", "the method to call, as /package.Service/Method")
	request = flag.String("request", "", "the encoded request message, in hex")
	calls   = flag.Int("calls", 1, "how often to call the method, one call after the other")
	store   = flag.String("store", "", "the folder of the token; default: a new one that is removed at the end")
	cert    = flag.String("cert", "", "the certificate of the service; default: no TLS")
	maxCost = flag.Int64("max-cost", l402.DefaultMaxCostSats, "the most that a token may cost, in satoshis")
)

// raw passes messages through as they are, so this client needs to know no service.
type raw struct{}

func (raw) Name() string                       { return "proto" }
func (raw) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = append([]byte{}, data...); return nil }

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "aperture_client:", err)
		os.Exit(1)
	}
}

func run() error {
	if *address == "" || *method == "" {
		return errors.New("expected --address HOST:PORT and --method /package.Service/Method")
	}
	message, err := hex.DecodeString(*request)
	if err != nil {
		return fmt.Errorf("--request: expected hex: %w", err)
	}
	folder := *store
	if folder == "" {
		if folder, err = os.MkdirTemp("", "aperture_client"); err != nil {
			return err
		}
		defer os.RemoveAll(folder)
	}
	tokens, err := l402.NewFileStore(folder)
	if err != nil {
		return err
	}
	lnd, err := lndclient.NewLndServices(&lndclient.LndServicesConfig{
		LndAddress:  os.Getenv("X402_NODE_LND_A_GRPC"),
		Network:     lndclient.NetworkRegtest,
		MacaroonDir: os.Getenv("X402_NODE_LND_A_MACAROONS"),
		TLSPath:     os.Getenv("X402_NODE_LND_A_CERT"),
	})
	if err != nil {
		return fmt.Errorf("LND: %w", err)
	}
	defer lnd.Close()

	payer := l402.NewInterceptor(
		&lnd.LndServices, tokens, 30*time.Second, btcutil.Amount(*maxCost), l402.DefaultMaxRoutingFeeSats, *cert == "",
	)
	transport := insecure.NewCredentials()
	if *cert != "" {
		if transport, err = credentials.NewClientTLSFromFile(*cert, ""); err != nil {
			return err
		}
	}
	connection, err := grpc.NewClient(
		*address, grpc.WithTransportCredentials(transport), grpc.WithUnaryInterceptor(payer.UnaryInterceptor),
	)
	if err != nil {
		return err
	}
	defer connection.Close()

	var failed bool
	for call := 1; call <= *calls; call++ {
		var reply []byte
		ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
		err := connection.Invoke(ctx, *method, &message, &reply, grpc.ForceCodec(raw{}))
		cancel()
		if err != nil {
			failed = true
			fmt.Printf("call %d: error %d %s\n", call, status.Code(err), status.Convert(err).Message())
			continue
		}
		fmt.Printf("call %d: ok %x\n", call, reply)
	}
	held, err := tokens.AllTokens()
	if err != nil {
		return err
	}
	for _, token := range held {
		fmt.Printf("token: hash %v paid %d msat fee %d msat\n", token.PaymentHash, token.AmountPaid, token.RoutingFeePaid)
	}
	if failed {
		return errors.New("a call failed")
	}
	return nil
}
