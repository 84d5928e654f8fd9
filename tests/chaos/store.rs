//! The store's server, which is broken and mended while clients pay.

use std::{net::TcpListener, process};

use crate::{
    options::Engine,
    redis::{DURABLE, Server, programs},
};

/// How a store is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL.
    Killed,
    /// SIGSTOP: its connections stay open, and nothing answers.
    Frozen,
    /// It ends in order.
    Stopped,
}

impl Fault {
    pub(crate) const ALL: [Self; 3] = [Self::Killed, Self::Frozen, Self::Stopped];
}

pub(crate) enum StoreServer {
    Redis(Server),
    /// There is no server.
    Memory,
}

impl StoreServer {
    /// Starts one. Returns `None` if its program is not installed here.
    pub(crate) fn start(engine: Engine) -> Option<Self> {
        match engine {
            Engine::Redis => {
                let program = programs().into_iter().next()?;
                let mut server = Server::start(program, &DURABLE);
                server.kill();
                server.port = quiet_port();
                server.start_again();
                Some(Self::Redis(server))
            }
            Engine::Forgetful | Engine::Twins => Some(Self::Memory),
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Redis(server) => server.url("chaos"),
            Self::Memory => "memory:".to_owned(),
        }
    }

    pub(crate) fn break_down(&mut self, fault: Fault) {
        match (self, fault) {
            (Self::Redis(server), Fault::Killed) => server.kill(),
            (Self::Redis(server), Fault::Frozen) => server.signal("STOP"),
            (Self::Redis(server), Fault::Stopped) => {
                server.ask(&["SHUTDOWN"]);
                server.kill();
            }
            (Self::Memory, _) => {}
        }
    }

    pub(crate) fn mend(&mut self, fault: Fault) {
        match (self, fault) {
            (Self::Redis(server), Fault::Killed | Fault::Stopped) => server.start_again(),
            (Self::Redis(server), Fault::Frozen) => server.signal("CONT"),
            (Self::Memory, _) => {}
        }
    }
}

/// Returns a free port that no outgoing connection takes while the store is down.
fn quiet_port() -> u16 {
    let own = (process::id() % 10_000) as u16;
    let mut ports = (0..10_000).map(|step| 12_000 + (own + step) % 10_000);
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}
