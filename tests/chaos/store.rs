//! The store's server. It is made to fail, and to work again, while clients pay.

use crate::{options::Engine, postgres, redis};

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
    Postgres(postgres::Server),
    Redis(redis::Server),
    /// There is no server.
    Memory,
}

impl StoreServer {
    /// Starts one. Returns `None` if its program is not installed here.
    pub(crate) fn start(engine: Engine) -> Option<Self> {
        match engine {
            // Each process may open 8 connections. The port is none of those that systems give to
            // outgoing connections: one of these could take it while the server is down.
            Engine::Postgres => {
                let (port, settings) = (redis::free_port(), "max_connections = 1000");
                postgres::Server::start_with(port, settings).map(Self::Postgres)
            }
            Engine::Redis => {
                let program = redis::programs().into_iter().next()?;
                let server = redis::Server::start(program, &redis::DURABLE);
                Some(Self::Redis(server))
            }
            Engine::Forgetful | Engine::Twins => Some(Self::Memory),
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Postgres(server) => server.url("chaos"),
            Self::Redis(server) => server.url("chaos"),
            Self::Memory => "memory:".to_owned(),
        }
    }

    pub(crate) fn break_down(&mut self, fault: Fault) {
        match (self, fault) {
            (Self::Postgres(server), Fault::Killed) => server.signal("KILL"),
            (Self::Postgres(server), Fault::Frozen) => server.signal("STOP"),
            (Self::Postgres(server), Fault::Stopped) => server.kill(),
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
            (Self::Postgres(server), Fault::Killed | Fault::Stopped) => server.resume(),
            (Self::Postgres(server), Fault::Frozen) => server.signal("CONT"),
            (Self::Redis(server), Fault::Killed | Fault::Stopped) => server.start_again(),
            (Self::Redis(server), Fault::Frozen) => server.signal("CONT"),
            (Self::Memory, _) => {}
        }
    }
}
