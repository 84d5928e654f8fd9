//! A relay of Nostr events.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use futures_util::{SinkExt as _, StreamExt as _};
use nostr::{
    ClientMessage, Event, Filter, JsonUtil as _, Kind, RelayMessage, SubscriptionId,
    filter::MatchEventOptions,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::broadcast,
    task::JoinSet,
};
use tokio_tungstenite::{accept_async, tungstenite::Message};

pub(super) struct Relay {
    pub(super) url: String,
    port: u16,
    pub(super) inner: Arc<Inner>,
    tasks: Mutex<JoinSet<()>>,
}

pub(super) struct Inner {
    /// Every event, as it arrives.
    pub(super) events: broadcast::Sender<Event>,
    /// The events that are kept.
    kept: Mutex<Vec<Event>>,
    pub(super) rejects: AtomicBool,
    /// How many events until it also rejects one: 1 is the next. 0 is none.
    pub(super) rejects_in: AtomicUsize,
    /// Whether it forwards what it rejects.
    pub(super) forwards_rejected: AtomicBool,
    /// Whether it sends events of the right kind to everybody, whoever signed them.
    pub(super) careless: AtomicBool,
    pub(super) ends_subscriptions: AtomicBool,
    pub(super) connections: AtomicUsize,
}

impl Relay {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let relay = Self {
            url: format!("ws://127.0.0.1:{port}"),
            port,
            inner: Arc::new(Inner {
                events: broadcast::Sender::new(1_024),
                kept: Mutex::default(),
                rejects: AtomicBool::new(false),
                rejects_in: AtomicUsize::new(0),
                forwards_rejected: AtomicBool::new(false),
                careless: AtomicBool::new(false),
                ends_subscriptions: AtomicBool::new(false),
                connections: AtomicUsize::new(0),
            }),
            tasks: Mutex::default(),
        };
        relay.listen(listener);
        relay
    }

    fn listen(&self, listener: TcpListener) {
        let inner = Arc::clone(&self.inner);
        self.tasks.lock().unwrap().spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                inner.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(Arc::clone(&inner), stream));
            }
        });
    }

    pub(super) async fn kill(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        tasks.shutdown().await;
    }

    pub(super) async fn up(&self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        self.listen(listener);
    }

    pub(super) fn publish(&self, event: Event) {
        self.inner.publish(event);
    }
}

impl Inner {
    fn rejects_next(&self) -> bool {
        let left = self.rejects_in.load(Ordering::SeqCst);
        self.rejects_in
            .store(left.saturating_sub(1), Ordering::SeqCst);
        left == 1 || self.rejects.load(Ordering::SeqCst)
    }

    fn publish(&self, event: Event) {
        // Kinds from 20,000 to 29,999 are not kept.
        if event.kind == Kind::WalletConnectInfo {
            let mut kept = self.kept.lock().unwrap();
            kept.retain(|earlier| earlier.pubkey != event.pubkey);
            kept.push(event.clone());
        }
        let _ = self.events.send(event);
    }
}

async fn serve(inner: Arc<Inner>, stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let Ok(mut socket) = accept_async(stream).await else {
        return;
    };
    let mut subscriptions: Vec<(SubscriptionId, Filter)> = Vec::new();
    let mut events = inner.events.subscribe();
    loop {
        let mut answers = Vec::new();
        tokio::select! {
            message = socket.next() => {
                let Some(Ok(message)) = message else { return };
                let Message::Text(text) = message else { continue };
                match ClientMessage::from_json(text.as_bytes()).expect("a message of NIP-01") {
                    ClientMessage::Event(event) => {
                        event.verify().expect("a signed event");
                        let rejected = inner.rejects_next();
                        answers.push(RelayMessage::ok(event.id, !rejected, "blocked: a test"));
                        if !rejected || inner.forwards_rejected.load(Ordering::SeqCst) {
                            inner.publish(event.into_owned());
                        }
                    }
                    ClientMessage::Req { subscription_id, filters } => {
                        let id = subscription_id.into_owned();
                        for filter in filters {
                            let kept = inner.kept.lock().unwrap().clone();
                            let matching = |event: &&Event| filter.match_event(event, MatchEventOptions::default());
                            answers.extend(kept.iter().filter(matching).map(|event| RelayMessage::event(id.clone(), event.clone())));
                            subscriptions.push((id.clone(), filter.into_owned()));
                        }
                        answers.push(RelayMessage::eose(id.clone()));
                        if inner.ends_subscriptions.load(Ordering::SeqCst) {
                            answers.push(RelayMessage::closed(id, "restricted: a test"));
                        }
                    }
                    _ => {}
                }
            }
            event = events.recv() => {
                let Ok(event) = event else { return };
                let careless = inner.careless.load(Ordering::SeqCst);
                let options = MatchEventOptions { author: !careless, ..MatchEventOptions::default() };
                let matching = |(_, filter): &&(SubscriptionId, Filter)| filter.match_event(&event, options);
                answers.extend(subscriptions.iter().filter(matching).map(|(id, _)| RelayMessage::event(id.clone(), event.clone())));
            }
        }
        for answer in answers {
            if socket.send(Message::text(answer.as_json())).await.is_err() {
                return;
            }
        }
    }
}
