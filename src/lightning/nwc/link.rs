//! The task that keeps a connection to one of the wallet's relays, and sends requests over it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nostr::{Event, EventId, Kind, Timestamp};
use serde_json::json;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};

use super::{
    cipher::{Cipher, Encryption, answered},
    fault::Fault,
    relay::{News, Relay, place},
    wire::Notification,
};
use crate::{boxed::BoxError, lightning::settled::Listeners, trace};

/// How many requests may wait for a connection.
const WAITING: usize = 1_024;

/// How often the relay is asked for a sign of life.
const PING: Duration = Duration::from_secs(30);

/// The kinds of notifications, as they are encrypted.
const NOTIFICATION_NIP04: u16 = 23_196;
const NOTIFICATION_NIP44: u16 = 23_197;

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LAST_DELAY: Duration = Duration::from_secs(60);

/// How long a connection must last, so that the delay begins anew without an answer of the wallet.
const LASTING: Duration = Duration::from_secs(30);

/// A handle of the task. The task ends when all handles are dropped.
#[derive(Clone)]
pub(super) struct Link(mpsc::Sender<Ask>);

/// Sends the answer to the caller who waits for it.
type Answer = oneshot::Sender<Result<Box<Event>, Fault>>;

struct Ask {
    event: Event,
    /// Whether the event may have been sent.
    sent: Arc<AtomicBool>,
    answer: Answer,
}

impl Link {
    /// Starts the task. The relays are tried in this order.
    pub(super) fn start(cipher: Arc<Cipher>, relays: Vec<String>, settled: Arc<Listeners>) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let task = Task {
            cipher,
            settled,
            asks: receiver,
            pending: HashMap::new(),
            answered: false,
        };
        tokio::spawn(task.run(relays));
        Self(sender)
    }

    /// Sends a request, and waits at most `wait` for the event that answers it.
    pub(super) async fn ask(&self, event: Event, wait: Duration) -> Result<Box<Event>, Fault> {
        let (answer, answered) = oneshot::channel();
        let sent = Arc::new(AtomicBool::new(false));
        let ask = Ask {
            event,
            sent: Arc::clone(&sent),
            answer,
        };
        if self.0.try_send(ask).is_err() {
            return Err(Fault::Unsent("too many requests wait for a relay".into()));
        }
        // After a time limit the receiver is gone before `sent` is read. The task sets `sent`
        // before it looks whether the receiver is gone. So an event is never sent unnoticed.
        let why = match timeout(wait, answered).await {
            Ok(Ok(answered)) => return answered,
            Ok(Err(_)) => "the connection to the relay was lost".to_owned(),
            Err(_) => format!("no answer within {} seconds", wait.as_secs()),
        };
        Err(if sent.load(Ordering::SeqCst) {
            Fault::Lost(why.into())
        } else {
            Fault::Unsent(format!("{why}, and no relay was reached").into())
        })
    }
}

impl Ask {
    /// Returns what is to be sent, unless the request has expired or nobody waits for its answer.
    fn begin(self) -> Option<(Event, Answer)> {
        if self.event.is_expired() {
            let why = "the request expired before a relay was reached";
            let _ = self.answer.send(Err(Fault::Unsent(why.into())));
            return None;
        }
        self.sent.store(true, Ordering::SeqCst);
        (!self.answer.is_closed()).then_some((self.event, self.answer))
    }
}

struct Task {
    cipher: Arc<Cipher>,
    settled: Arc<Listeners>,
    asks: mpsc::Receiver<Ask>,
    pending: HashMap<EventId, Answer>,
    /// Whether the wallet answered over the present connection.
    answered: bool,
}

impl Task {
    async fn run(mut self, relays: Vec<String>) {
        let mut delay = FIRST_DELAY;
        for url in relays.iter().cycle() {
            if self.asks.is_closed() {
                return;
            }
            let error = match self.open(url).await {
                Ok(mut relay) => {
                    let opened = Instant::now();
                    self.answered = false;
                    let served = self.serve(&mut relay).await;
                    // A relay that only takes connections is not asked more often for that.
                    if self.answered || opened.elapsed() >= LASTING {
                        delay = FIRST_DELAY;
                    }
                    match served {
                        Ok(()) => return,
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            // Their answers would come over the lost connection.
            self.pending.clear();
            trace::warn(format_args!(
                "the wallet's relay {} is not reached, and the next attempt is in {} s: {error}",
                place(url),
                delay.as_secs()
            ));
            sleep(delay).await;
            delay = LAST_DELAY.min(delay * 2);
        }
    }

    async fn open(&self, url: &str) -> Result<Relay, BoxError> {
        let mut relay = Relay::open(url).await?;
        let notification = match self.cipher.encryption {
            Encryption::Nip04 => NOTIFICATION_NIP04,
            Encryption::Nip44 => NOTIFICATION_NIP44,
        };
        let filter = json!({
            "kinds": [Kind::WalletConnectResponse.as_u16(), notification],
            "authors": [self.cipher.wallet.to_hex()],
            "#p": [self.cipher.keys.public_key().to_hex()],
            "since": Timestamp::now().as_secs().saturating_sub(60),
        });
        relay.subscribe("answers", filter).await?;
        Ok(relay)
    }

    /// Sends requests and takes answers, until the connection is lost or all handles are dropped.
    async fn serve(&mut self, relay: &mut Relay) -> Result<(), BoxError> {
        let mut pings = interval_at(Instant::now() + PING, PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut alive = true;
        loop {
            tokio::select! {
                ask = self.asks.recv() => {
                    let Some(ask) = ask else { return Ok(()) };
                    if let Some((event, answer)) = ask.begin() {
                        self.pending.insert(event.id, answer);
                        relay.publish(&event).await?;
                    }
                }
                news = relay.next() => {
                    alive = true;
                    self.take(news?)?;
                }
                _ = pings.tick() => {
                    if !alive {
                        return Err("the relay is silent".into());
                    }
                    alive = false;
                    self.pending.retain(|_, answer| !answer.is_closed());
                    relay.ping().await?;
                }
            }
        }
    }

    fn take(&mut self, news: News) -> Result<(), BoxError> {
        match news {
            News::Event(event) if self.cipher.is_of_wallet(&event) => self.event(event),
            News::Rejected(id, why) => {
                if let Some(answer) = self.pending.remove(&id) {
                    // Whether it did is not known: only the wallet can tell.
                    let why = format!("the relay says that it does not forward the request: {why}");
                    let _ = answer.send(Err(Fault::Lost(why.into())));
                }
            }
            News::Closed(why) => {
                return Err(format!("the relay ended the subscription: {why}").into());
            }
            News::Event(_) | News::Stored | News::Other => {}
        }
        Ok(())
    }

    fn event(&mut self, event: Box<Event>) {
        if event.kind == Kind::WalletConnectResponse {
            if let Some(answer) = answered(&event).and_then(|id| self.pending.remove(&id)) {
                self.answered = true;
                let _ = answer.send(Ok(event));
            }
            return;
        }
        let Ok(text) = self.cipher.open(&event) else {
            return;
        };
        let Ok(notification) = serde_json::from_str::<Notification>(&text) else {
            return;
        };
        if notification.notification_type == "payment_received"
            && notification.notification.was_received()
            && let Some(hash) = notification.notification.payment_hash()
        {
            self.settled.notify(hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use nostr::{EventBuilder, Keys, Tag};

    use super::*;

    #[test]
    fn a_request_that_has_expired_or_that_nobody_waits_for_is_not_sent() {
        let now = Timestamp::now().as_secs();
        for (expires, waits, begins) in [
            (now + 60, true, true),
            (now + 60, false, false),
            (now - 1, true, false),
            (now - 1, false, false),
        ] {
            let event = EventBuilder::new(Kind::WalletConnectRequest, "")
                .tag(Tag::expiration(Timestamp::from_secs(expires)));
            let (answer, mut answered) = oneshot::channel();
            let ask = Ask {
                event: event.sign_with_keys(&Keys::generate()).unwrap(),
                sent: Arc::default(),
                answer,
            };
            let sent = Arc::clone(&ask.sent);
            if !waits {
                answered.close();
            }
            assert_eq!(ask.begin().is_some(), begins);
            assert_eq!(sent.load(Ordering::SeqCst), expires > now);
            let unsent = matches!(answered.try_recv(), Ok(Err(Fault::Unsent(_))));
            assert_eq!(unsent, waits && expires < now);
        }
    }
}
