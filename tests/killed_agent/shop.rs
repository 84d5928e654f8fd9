//! The example `paid_api` in a process of its own.

use std::{
    collections::HashMap,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Once,
};

use base64_simd::URL_SAFE;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tower_x402::Invoice;

#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) api: String,
    pub(crate) wallet: String,
    _process: tokio::process::Child,
}

impl Shop {
    /// Starts `paid_api`, which its clients know as `origin`.
    pub(crate) async fn open(origin: &str, keeps_answers: bool) -> Self {
        let mut process = tokio::process::Command::new(program())
            .args(["--origin", origin, "--unpaid", "100000"])
            .args(keeps_answers.then_some("--keep-answers"))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut said = HashMap::new();
        while !said.contains_key("node") {
            let line = lines.next_line().await.unwrap();
            let line = line.expect("it prints where it listens");
            if let Some((what, url)) = line.split_once(' ') {
                said.insert(what.to_owned(), url.to_owned());
            }
        }
        // What it prints later must find a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            api: said.remove("api").unwrap(),
            wallet: said.remove("wallet").unwrap(),
            _process: process,
        }
    }

    /// What the wallet says it paid for an invoice, with the fee. `None` if it did not pay it.
    pub(crate) async fn paid_msat(&self, invoice: &Invoice) -> Option<u64> {
        let hash = URL_SAFE.encode_to_string(invoice.payment_hash().as_bytes());
        let url = format!("{}/v2/router/track/{hash}", self.wallet);
        let answer: Value = serde_json::from_slice(&get(&url).await).unwrap();
        let payment = &answer["result"];
        match payment["status"].as_str() {
            Some("SUCCEEDED") => {
                let fee = payment["fee_msat"].as_str().unwrap();
                Some(invoice.amount().unwrap().as_msat() + fee.parse::<u64>().unwrap())
            }
            Some("FAILED") | None => None,
            Some(status) => panic!("{status}"),
        }
    }
}

/// Returns the body of an answer.
pub(crate) async fn get(url: &str) -> Bytes {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let answer = client.get(url.parse().unwrap()).await.unwrap();
    answer.into_body().collect().await.unwrap().to_bytes()
}

/// Builds the program `paid_api`, and returns its path. One that an earlier build left is replaced.
pub(crate) fn program() -> PathBuf {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "--example", "paid_api"])
            .status();
        assert!(
            built.unwrap().success(),
            "the example paid_api is not built"
        );
    });
    let this = std::env::current_exe().unwrap();
    let target = this.parent().unwrap().parent().unwrap();
    target.join("examples").join("paid_api")
}
