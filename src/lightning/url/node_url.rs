use std::fmt;

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::{ConnectError, Secret};
use crate::codec::authority::{Authority, is_scheme};

/// The longest URL, in bytes.
const LONGEST: usize = 16 * 1024;

/// The parts of a node's URL, percent-decoded: `scheme://user:password@host:port/path?field=value`.
///
/// A `+` stays a `+`. Every part may be a secret, so all are wiped when dropped, `Debug` prints
/// none, and errors name fields but never values.
pub(crate) struct NodeUrl {
    scheme: String,
    user: Text,
    password: Option<Text>,
    host: Text,
    path: Text,
    fields: Vec<(Text, Text)>,
}

type Text = Zeroizing<String>;

impl NodeUrl {
    pub(crate) fn parse(url: &str) -> Result<Self, ConnectError> {
        if url.len() > LONGEST {
            return Err(ConnectError::url(
                "the node's URL is too long: expected at most 16 KiB",
            ));
        }
        let split = url.trim().split_once("://");
        let (scheme, rest) = split.filter(|(scheme, _)| is_scheme(scheme.as_bytes())).ok_or_else(|| {
            ConnectError::url("expected a node's URL, for example lnd://127.0.0.1:8080?macaroon=/path/invoices.macaroon&cert=/path/tls.cert")
        })?;
        if rest.contains('#') || rest.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(ConnectError::url(
                "the node's URL has a character that must be percent-encoded: write # as %23, a space as %20",
            ));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match user.split_once(':') {
            Some((user, password)) => (user, Some(decoded(password, "password")?)),
            None => (user, None),
        };
        let fields = query
            .split('&')
            .filter(|field| !field.is_empty())
            .map(|field| {
                let (name, value) = field.split_once('=').unwrap_or((field, ""));
                Ok((
                    decoded(name, "name of a field")?,
                    decoded(value, "value of a field")?,
                ))
            });
        Ok(Self {
            scheme: scheme.to_ascii_lowercase(),
            user: decoded(user, "user")?,
            password,
            host: Zeroizing::new(host.to_owned()),
            path: decoded(path, "path")?,
            fields: fields.collect::<Result<_, ConnectError>>()?,
        })
    }

    /// Returns the scheme in lower case, for example `lnd` or `lnbits+https`.
    pub(crate) fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns what stands between the scheme and the path, without user and password, undecoded:
    /// a host and perhaps a port, or another name.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Returns the host and its port, with `default` if the URL has none.
    ///
    /// # Errors
    ///
    /// If it is not a host with an optional port.
    pub(crate) fn authority(&self, default: u16) -> Result<String, ConnectError> {
        let parsed = Authority::parse(&self.host).ok_or_else(|| {
            // The host is not printed: a password with a slash or an @ would be part of it.
            ConnectError::url(format!(
                "the {} URL has no valid host: expected a name or an address and a port, such as 127.0.0.1:{default}; write a / or @ of a password as %2F or %40",
                self.scheme
            ))
        })?;
        let port = parsed.port().unwrap_or(default);
        Ok(format!("{}:{port}", parsed.host()))
    }

    /// Returns the path, which is empty or begins with a slash.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Returns the value of a field that may occur once.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields
            .find(|(known, _)| known.as_str() == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the value of a field that is `true`, or `false` by default.
    ///
    /// # Errors
    ///
    /// If it has another value.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, ConnectError> {
        match self.field(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(ConnectError::url(format!(
                "the field {name} of the {} URL must be true or false",
                self.scheme
            ))),
        }
    }

    /// Returns the values of a field that may occur several times.
    pub(crate) fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields
            .iter()
            .filter(move |(known, _)| known.as_str() == name)
            .map(|(_, value)| value.as_str())
    }

    /// Checks that the URL has no fields but these, and each at most once.
    ///
    /// # Errors
    ///
    /// If it has. The text names the field.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), ConnectError> {
        for (at, (name, _)) in self.fields.iter().enumerate() {
            let known_names = || known.join(", ");
            if !known.contains(&name.as_str()) {
                // A secret that was written in the wrong place must not be printed as a name.
                let is_name = name.len() <= 20
                    && name
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                let shown = if is_name {
                    name.as_str()
                } else {
                    "(not printed)"
                };
                return Err(ConnectError::url(format!(
                    "the {} URL has an unknown field {shown}: expected {}",
                    self.scheme,
                    known_names()
                )));
            }
            if self.fields[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(ConnectError::url(format!(
                    "the {} URL has the field {} twice",
                    self.scheme,
                    name.as_str()
                )));
            }
        }
        Ok(())
    }

    /// Returns the user, which is empty if the URL has none.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// Returns the password of `user:password@`, if it is not empty.
    pub(crate) fn password(&self) -> Option<Secret> {
        let given = self
            .password
            .as_ref()
            .filter(|password| !password.is_empty());
        given.map(|password| Secret::new(password.as_bytes()))
    }

    /// Returns a secret: the value of the field `name`, the contents of the file that
    /// `<name>_file` names, or the environment variable that `<name>_env` names.
    ///
    /// # Errors
    ///
    /// If more than one is given, or the file or variable cannot be read.
    pub(crate) fn secret(&self, name: &str) -> Result<Option<Secret>, ConnectError> {
        let (file, env) = (format!("{name}_file"), format!("{name}_env"));
        let given = (self.field(name), self.field(&file), self.field(&env));
        match given {
            (None, None, None) => Ok(None),
            (Some(""), None, None) => Err(ConnectError::url(format!(
                "the field {name} of the {} URL is empty",
                self.scheme
            ))),
            (Some(value), None, None) => Ok(Some(Secret::new(value))),
            (None, Some(path), None) => Secret::from_file(path).map(Some),
            (None, None, Some(variable)) => Secret::from_env(variable).map(Some),
            _ => Err(ConnectError::url(format!(
                "the {} URL has more than one of {name}, {file} and {env}: expected one",
                self.scheme
            ))),
        }
    }
}

fn decoded(text: &str, what: &str) -> Result<Text, ConnectError> {
    let bytes = Zeroizing::new(percent_decode_str(text).collect::<Vec<u8>>());
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        ConnectError::url(format!(
            "the {what} in the node's URL is not UTF-8 after percent-decoding"
        ))
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

impl fmt::Debug for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeUrl")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_the_parts_that_each_adapter_reads() {
        let lnd = NodeUrl::parse(
            "lnd://127.0.0.1:8080?macaroon=/path/invoices.macaroon&cert=/path/tls.cert",
        )
        .unwrap();
        assert_eq!(
            (lnd.scheme(), lnd.authority(1).unwrap().as_str()),
            ("lnd", "127.0.0.1:8080")
        );
        assert_eq!(lnd.field("macaroon"), Some("/path/invoices.macaroon"));
        assert_eq!(lnd.field("cert"), Some("/path/tls.cert"));

        let cln = NodeUrl::parse("cln:///home/me/.lightning/lightning-rpc").unwrap();
        assert_eq!(
            (cln.host(), cln.path()),
            ("", "/home/me/.lightning/lightning-rpc")
        );

        let phoenixd = NodeUrl::parse("phoenixd://:pa%2Fss+w@[::1]").unwrap();
        assert_eq!(
            (phoenixd.user(), phoenixd.authority(9740).unwrap().as_str()),
            ("", "[::1]:9740")
        );
        assert_eq!(phoenixd.password().unwrap().text(), Some("pa/ss+w"));

        let lnbits = NodeUrl::parse("LNbits+https://host/wallets?key=a%26b").unwrap();
        assert_eq!(
            (lnbits.scheme(), lnbits.path()),
            ("lnbits+https", "/wallets")
        );
        assert_eq!(lnbits.secret("key").unwrap().unwrap().text(), Some("a&b"));

        let nwc = "nostr+walletconnect://b889ff5b?relay=wss%3A%2F%2Fa.example&relay=wss://b.example&secret=71a8";
        let nwc = NodeUrl::parse(nwc).unwrap();
        assert_eq!((nwc.host(), nwc.path()), ("b889ff5b", ""));
        assert_eq!(
            nwc.fields("relay").collect::<Vec<_>>(),
            ["wss://a.example", "wss://b.example"]
        );
    }

    #[test]
    fn a_wrong_part_is_named_and_no_secret_is_printed() {
        let fails = |url: &str, part: &str| {
            let error = match NodeUrl::parse(url) {
                Err(error) => error,
                Ok(parsed) => {
                    assert!(!format!("{parsed:?}").contains("hunter2"), "{parsed:?}");
                    let checked = parsed
                        .authority(8080)
                        .and_then(|_| parsed.only(&["key", "key_file", "key_env"]));
                    checked.and_then(|()| parsed.secret("key")).unwrap_err()
                }
            };
            let text = format!("{error} {error:?}");
            assert!(text.contains(part) && !text.contains("hunter2"), "{text}");
        };
        for (url, part) in [
            ("hunter2", "expected a node's URL"),
            ("://host?key=hunter2", "expected a node's URL"),
            ("lnd://:hunter2#x@host", "# as %23"),
            ("lnd://host?key=hunter2 3", "a space as %20"),
            ("lnd://:hunter2/x@host", "no valid host"),
            ("lnd://?key=hunter2", "no valid host"),
            ("lnd://host:99999?key=hunter2", "no valid host"),
            ("lnd://host?key=%ffhunter2", "not UTF-8"),
            ("lnd://host?hunter2", "unknown field (not printed)"),
            (
                "lnd://host?keys=hunter2",
                "unknown field keys: expected key, key_file, key_env",
            ),
            ("lnd://host?key=hunter2&key=x", "the field key twice"),
            ("lnd://host?key=", "the field key of the lnd URL is empty"),
            (
                "lnd://host?key=hunter2&key_file=/x",
                "more than one of key, key_file and key_env",
            ),
            ("lnd://host?key_file=/no/such/file", "/no/such/file"),
            ("lnd://host?key_env=X402_NOT_SET", "X402_NOT_SET"),
        ] {
            fails(url, part);
        }
        fails(
            &format!("lnd://host?key=hunter2{}", "x".repeat(LONGEST)),
            "too long",
        );
    }
}
