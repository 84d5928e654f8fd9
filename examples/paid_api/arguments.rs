use std::{
    ffi::OsString,
    fmt,
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use lexopt::{Arg, ValueExt as _};
use tower_x402::{Amount, server::Charge};

pub(crate) const USAGE: &str = "\
A paid API over Lightning, and a wallet that pays for it. The money is not real.

  --listen ADDR     where the API listens (127.0.0.1:0: a free port)
  --wallet ADDR     where the wallet listens (127.0.0.1:0: a free port)
  --route RULE      a route and its price: 'METHOD /path=PRICE', PRICE in sat, 0 for free;
                    append ';for=SECONDS' or ';uses=N' to sell more than one request;
                    may be repeated
                    ('GET /weather/{city}=10')
  --origin URL      the public URL, if it differs from the address that the API listens on
  --store DIR       the folder for spent payments and the master secret (in memory)
  --keep-answers    keeps paid answers, and repeats one for the same credential
  --unpaid N        the most unpaid invoices of one client (64)
  --help            prints this text";

/// The parsed command line.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) listen: SocketAddr,
    pub(crate) wallet: SocketAddr,
    pub(crate) routes: Vec<Route>,
    pub(crate) origin: Option<String>,
    pub(crate) store: Option<PathBuf>,
    pub(crate) keeps_answers: bool,
    pub(crate) unpaid: Option<NonZeroUsize>,
}

/// One `--route`, such as `METHOD /path=PRICE;for=SECONDS`.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) rule: String,
    pub(crate) price: Amount,
    access: Access,
}

#[derive(Debug, PartialEq, Eq)]
enum Access {
    Duration(Duration),
    Once,
    Uses(NonZeroU32),
}

impl Arguments {
    /// Parses the command line. Returns `None` if help was requested.
    pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Option<Self>, String> {
        let free_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut arguments = Self {
            listen: free_port,
            wallet: free_port,
            routes: Vec::new(),
            origin: None,
            store: None,
            keeps_answers: false,
            unpaid: None,
        };
        let mut words = lexopt::Parser::from_args(words);
        while let Some(word) = words.next().map_err(|error| error.to_string())? {
            match word {
                Arg::Long("listen") => arguments.listen = address(&mut words, "--listen")?,
                Arg::Long("wallet") => arguments.wallet = address(&mut words, "--wallet")?,
                Arg::Long("route") => arguments.routes.push(value(&mut words)?.parse()?),
                Arg::Long("origin") => arguments.origin = Some(value(&mut words)?),
                Arg::Long("store") => {
                    arguments.store = Some(words.value().map_err(|error| error.to_string())?.into())
                }
                Arg::Long("keep-answers") => arguments.keeps_answers = true,
                Arg::Long("unpaid") => {
                    arguments.unpaid = Some(number("--unpaid", &value(&mut words)?)?)
                }
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => {
                    return Err(format!("{}; --help lists all options", other.unexpected()));
                }
            }
        }
        if arguments.origin.is_none() && arguments.listen.ip().is_unspecified() {
            return Err(format!(
                "--listen {} is not an address that clients can call: set the public URL with --origin URL",
                arguments.listen
            ));
        }
        if arguments.routes.is_empty() {
            arguments.routes.push("GET /weather/{city}=10".parse()?);
        }
        Ok(Some(arguments))
    }
}

impl Route {
    pub(crate) fn is_once(&self) -> bool {
        self.access == Access::Once
    }

    pub(crate) fn charge(&self) -> Charge {
        let charge = Charge::new(self.price)
            .description(format!("{} of a test API", self.rule))
            .mime_type("application/json");
        match self.access {
            Access::Duration(duration) => charge.for_duration(duration),
            Access::Once => charge,
            Access::Uses(uses) => charge.uses(uses),
        }
    }
}

impl FromStr for Route {
    type Err = String;

    fn from_str(route: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!("--route '{route}': {why}, as in 'GET /weather/{{city}}=10;uses=3'")
        };
        let mut parts = route.split(';');
        let (rule, price) = parts
            .next()
            .and_then(|first| first.rsplit_once('='))
            .ok_or_else(|| wrong("expected a method, a path, an equals sign and a price in sat"))?;
        let rule = rule.trim();
        if !rule
            .split_once(' ')
            .is_some_and(|(method, path)| !method.is_empty() && path.trim_start().starts_with('/'))
        {
            return Err(wrong(
                "expected a method, a space and a path that begins with a slash",
            ));
        }
        let sat: u32 = price
            .trim()
            .parse()
            .map_err(|_| wrong("expected the price as a whole number of sat"))?;
        let mut access = Access::Once;
        for option in parts {
            if access != Access::Once {
                return Err(wrong("expected one of 'for' and 'uses', once"));
            }
            access = match option.trim().split_once('=') {
                Some(("for", seconds)) => {
                    let seconds: NonZeroU32 =
                        number("for", seconds).map_err(|error| wrong(&error))?;
                    Access::Duration(Duration::from_secs(seconds.get().into()))
                }
                Some(("uses", uses)) => {
                    Access::Uses(number("uses", uses).map_err(|error| wrong(&error))?)
                }
                _ => {
                    return Err(wrong(
                        "expected ';for=SECONDS' or ';uses=N' after the price",
                    ));
                }
            };
        }
        if sat == 0 && access != Access::Once {
            return Err(wrong("expected no ';for' and no ';uses' if the price is 0"));
        }
        Ok(Self {
            rule: rule.to_owned(),
            price: Amount::from_sat(sat),
            access,
        })
    }
}

/// Prints the route, for example `GET /weather/{city} for 10 sat, 3 uses`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.price.is_zero() {
            return write!(f, "{} for free", self.rule);
        }
        write!(f, "{} for {}", self.rule, self.price)?;
        match self.access {
            Access::Duration(duration) => write!(f, ", {} seconds", duration.as_secs()),
            Access::Once => Ok(()),
            Access::Uses(uses) => write!(f, ", {uses} uses"),
        }
    }
}

fn value(words: &mut lexopt::Parser) -> Result<String, String> {
    words
        .value()
        .and_then(|value| value.string())
        .map_err(|error| error.to_string())
}

fn address(words: &mut lexopt::Parser, option: &str) -> Result<SocketAddr, String> {
    let value = value(words)?;
    value.parse().map_err(|_| {
        format!("{option} '{value}': expected an address and a port, as in 127.0.0.1:8402")
    })
}

fn number<T: FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("{name} '{text}': expected a whole number, at least 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(words: &[&str]) -> String {
        Arguments::parse(words.iter().map(OsString::from)).expect_err("these words are wrong")
    }

    #[test]
    fn routes_say_price_and_access() {
        let route: Route = "GET /a/{b}=10".parse().unwrap();
        assert_eq!(
            (route.rule.as_str(), route.price, route.access),
            ("GET /a/{b}", Amount::from_sat(10), Access::Once)
        );
        let route: Route = "POST /a=b=7;for=60".parse().unwrap();
        assert_eq!(
            (route.rule.as_str(), route.access),
            ("POST /a=b", Access::Duration(Duration::from_secs(60)))
        );
        let route: Route = "GET /a=7;uses=3".parse().unwrap();
        assert_eq!(route.access, Access::Uses(NonZeroU32::new(3).unwrap()));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_was_expected() {
        for (words, expected) in [
            (&["--route", "GET /a"][..], "an equals sign and a price"),
            (&["--route", "/a=1"], "a method, a space and a path"),
            (&["--route", "GET a=1"], "a path that begins with a slash"),
            (&["--route", "GET /a=1.5"], "a whole number of sat"),
            (&["--route", "GET /a=-1"], "a whole number of sat"),
            (
                &["--route", "GET /a=1;uses=0"],
                "a whole number, at least 1",
            ),
            (
                &["--route", "GET /a=1;uses=2;for=3"],
                "one of 'for' and 'uses'",
            ),
            (
                &["--route", "GET /a=1;often"],
                "';for=SECONDS' or ';uses=N'",
            ),
            (&["--route", "GET /a=0;uses=2"], "if the price is 0"),
            (&["--listen", "8402"], "an address and a port"),
            (&["--listen", "0.0.0.0:1"], "--origin URL"),
            (&["--unpaid", "0"], "a whole number, at least 1"),
            (&["--wallet"], "missing argument"),
            (&["--rout", "x"], "--help"),
            (&["x"], "--help"),
        ] {
            let error = refused(words);
            assert!(error.contains(expected), "{words:?}: {error}");
        }
    }

    #[test]
    fn without_arguments_there_is_a_route_on_free_ports() {
        let arguments = Arguments::parse([]).unwrap().unwrap();
        assert_eq!(arguments.routes.len(), 1);
        assert_eq!((arguments.listen.port(), arguments.wallet.port()), (0, 0));
        assert!(Arguments::parse(["--help".into()]).unwrap().is_none());
    }
}
