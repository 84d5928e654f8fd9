use super::{http, mcp, url::is_absolute_uri};
use crate::{
    codec::{
        hex,
        json::{Json, Object},
    },
    dialect::x402::Reason,
};

/// What a requirement says about the request that it binds: its hash, and how the hash was made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Binding<'a> {
    pub(crate) hash: [u8; 32],
    pub(crate) params: Params<'a>,
}

/// The profile and its parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Params<'a> {
    Http {
        headers: Vec<&'a str>,
    },
    Mcp {
        server: &'a str,
        metadata: Vec<&'a str>,
    },
}

impl<'a> Binding<'a> {
    /// Reads `requestHash`, `requestBindingProfile` and `requestBindingParams` of an `extra`. The
    /// parameters may have no other members.
    pub(crate) fn read(extra: &'a Object<'_>) -> Result<Self, Reason> {
        Self::find(extra).ok_or(Reason::RequestBinding)
    }

    fn find(extra: &'a Object<'_>) -> Option<Self> {
        let hash = hex::decode_lower(extra.get("requestHash")?.as_str()?)?;
        let params = extra.get("requestBindingParams")?.as_object()?;
        let params = match (extra.get("requestBindingProfile")?.as_str()?, params.len()) {
            ("http:1", 1) => Params::Http {
                headers: names(params, "headers").filter(|names| http::are_bindable(names))?,
            },
            ("mcp:1", 2) => Params::Mcp {
                server: params
                    .get("server")?
                    .as_str()
                    .filter(|server| is_absolute_uri(server))?,
                metadata: names(params, "metadata").filter(|names| mcp::are_bindable(names))?,
            },
            _ => return None,
        };
        Some(Self { hash, params })
    }
}

fn names<'a>(params: &'a Object<'_>, member: &str) -> Option<Vec<&'a str>> {
    params
        .get(member)?
        .as_array()?
        .iter()
        .map(Json::as_str)
        .collect()
}
