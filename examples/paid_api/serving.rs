use std::{io, net::SocketAddr, time::Duration};

use axum::Router;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

/// How long answers that are under way may take once the end is asked for.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// SIGINT or SIGTERM, from the moment that this is made.
#[derive(Debug)]
pub(crate) struct End {
    interrupt: Signal,
    terminate: Signal,
}

impl End {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn comes(&mut self) {
        tokio::select! { _ = self.interrupt.recv() => {}, _ = self.terminate.recv() => {} }
    }
}

/// Serves until the end is asked for, then ends cleanly.
pub(crate) async fn serve(mut asked: End, servers: impl IntoIterator<Item = (TcpListener, Router)>) -> io::Result<()> {
    let (end, ended) = watch::channel(false);
    let mut serving = JoinSet::new();
    for (listener, router) in servers {
        let mut ended = ended.clone();
        serving.spawn(async move {
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            let told = async move { drop(ended.wait_for(|ended| *ended).await) };
            axum::serve(listener, service).with_graceful_shutdown(told).await
        });
    }
    tokio::select! {
        () = asked.comes() => {}
        Some(Ok(Err(error))) = serving.join_next() => return Err(error),
    }
    end.send_replace(true);
    // Whoever still holds a connection then is cut off.
    let _ = timeout(LAST_ANSWERS, serving.join_all()).await;
    Ok(())
}
