//! The methods that a rule may name.

use http::Method;

/// Whether it is a method that requests have. A rule with any other would never match: what it was
/// to price would be free or closed.
pub(super) fn is_known(method: &Method) -> bool {
    KNOWN.contains(&method.as_str())
}

/// IANA's registry of HTTP methods, without `OPTIONS` (which the layer answers) and `PRI` (which no
/// request has), and four that caches and UPnP use.
const KNOWN: [&str; 42] = [
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "NOTIFY",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "SUBSCRIBE",
    "TRACE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UNSUBSCRIBE",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];
