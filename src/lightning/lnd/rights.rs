//! What a macaroon of LND permits, read from the macaroon itself: asking LND needs a right that an
//! invoice macaroon does not have.
//!
//! The layout is that of libmacaroons, version 2: fields of a type, a length and bytes. LND's
//! identifier is the version byte 3 and a protobuf message (`MacaroonId` of the Go package bakery).
//! Caveats can only take rights away.

/// The rights that a macaroon lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) make_invoices: bool,
    pub(super) see_invoices: bool,
    pub(super) pay: bool,
    pub(super) see_payments: bool,
    pub(super) see_info: bool,
    pub(super) see_channels: bool,
    /// Whether money can leave through any of its rights.
    pub(super) spend: bool,
}

/// Calls that move no money, by which a macaroon may be limited.
const HARMLESS: [&str; 11] = [
    "/invoicesrpc.Invoices/AddHoldInvoice",
    "/invoicesrpc.Invoices/LookupInvoiceV2",
    "/invoicesrpc.Invoices/SubscribeSingleInvoice",
    ADD,
    BALANCE,
    "/lnrpc.Lightning/DecodePayReq",
    INFO,
    "/lnrpc.Lightning/ListInvoices",
    LOOKUP,
    "/lnrpc.Lightning/SubscribeInvoices",
    TRACK,
];

const ADD: &str = "/lnrpc.Lightning/AddInvoice";
const BALANCE: &str = "/lnrpc.Lightning/ChannelBalance";
const INFO: &str = "/lnrpc.Lightning/GetInfo";
const LOOKUP: &str = "/lnrpc.Lightning/LookupInvoice";
const SEND: &str = "/routerrpc.Router/SendPaymentV2";
const TRACK: &str = "/routerrpc.Router/TrackPaymentV2";

impl Rights {
    /// Reads the rights of a macaroon. Returns `None` if it has another layout.
    pub(super) fn of(macaroon: &[u8]) -> Option<Self> {
        let mut rights = Self::default();
        let mut fields = Fields(identifier(macaroon)?.strip_prefix(&[3])?);
        while let Some((number, operation)) = fields.next()? {
            if number != 3 {
                continue;
            }
            let (mut entity, mut actions) = ("", Vec::new());
            let mut inside = Fields(operation);
            while let Some((number, text)) = inside.next()? {
                let text = std::str::from_utf8(text).ok()?;
                match number {
                    1 => entity = text,
                    2 => actions.push(text),
                    _ => {}
                }
            }
            actions.iter().for_each(|action| rights.add(entity, action));
        }
        Some(rights)
    }

    pub(super) const fn receives(self) -> bool {
        self.make_invoices && self.see_invoices
    }

    pub(super) const fn pays(self) -> bool {
        self.pay && self.see_payments
    }

    fn add(&mut self, entity: &str, action: &str) {
        self.see_channels |= matches!((entity, action), ("offchain", "read") | ("uri", BALANCE));
        match (entity, action) {
            ("invoices", "read") | ("uri", LOOKUP) => self.see_invoices = true,
            ("invoices", "write") | ("uri", ADD) => self.make_invoices = true,
            ("info", "read") | ("uri", INFO) => self.see_info = true,
            ("offchain", "read") | ("uri", TRACK) => self.see_payments = true,
            ("offchain", "write") | ("uri", SEND) => self.pay = true,
            _ => {}
        }
        self.spend |= match (entity, action) {
            ("uri", call) => !HARMLESS.contains(&call),
            (_, "read") | ("address" | "invoices" | "message" | "peers", "write") => false,
            // Also what is not known here: baking a macaroon or signing gives every right, and
            // other programs around LND have entities of their own.
            _ => true,
        };
    }
}

/// Returns the identifier of a macaroon: the field of type 2 in the first section, after a location.
fn identifier(macaroon: &[u8]) -> Option<&[u8]> {
    let mut rest = macaroon.strip_prefix(&[2])?;
    for _ in 0..2 {
        let kind = varint(&mut rest)?;
        let bytes = bytes(&mut rest)?;
        match kind {
            1 => {}
            2 => return Some(bytes),
            _ => return None,
        }
    }
    None
}

/// The fields of a protobuf message that are all bytes.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Returns the next field, `Some(None)` at the end, or `None` if it is of another kind.
    #[expect(clippy::option_option, reason = "the end is no fault")]
    fn next(&mut self) -> Option<Option<(u64, &'a [u8])>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let key = varint(&mut self.0)?;
        (key & 7 == 2).then_some(())?;
        Some(Some((key >> 3, bytes(&mut self.0)?)))
    }
}

fn bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(varint(rest)?).ok()?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Macaroons as LND 0.21 writes them, with other numbers and signatures.
    fn rights(operations: &str) -> Option<Rights> {
        let identifier = format!("030a10{}120130{operations}", "00".repeat(16));
        let length = identifier.len() / 2;
        let length = match length {
            0..128 => format!("{length:02x}"),
            _ => format!("{:02x}{:02x}", length & 0x7f | 0x80, length >> 7),
        };
        let text = format!(
            "0201036c6e6402{length}{identifier}00000620{}",
            "00".repeat(32)
        );
        Rights::of(&crate::codec::hex::decode_vec(text).unwrap())
    }

    /// One operation, as protobuf.
    fn operation(entity: &str, action: &str) -> String {
        let field = |tag: u8, text: &str| {
            let length = u8::try_from(text.len()).unwrap();
            [&[tag, length][..], text.as_bytes()].concat()
        };
        let inside = [field(0x0a, entity), field(0x12, action)].concat();
        let length = u8::try_from(inside.len()).unwrap();
        crate::codec::hex::encode([&[0x1a, length][..], &inside].concat())
    }

    #[test]
    fn the_macaroons_that_lnd_writes_are_read() {
        let invoice = "1a160a0761646472657373120472656164120577726974651a170a08696e766f6963657312047265616412\
                       0577726974651a0f0a076f6e636861696e120472656164";
        let expected = Rights {
            make_invoices: true,
            see_invoices: true,
            ..Rights::default()
        };
        assert_eq!(rights(invoice), Some(expected));
        assert!(expected.receives() && !expected.pays());

        let admin = "1a160a0761646472657373120472656164120577726974651a130a04696e666f120472656164120577726974651a170a08\
                     696e766f69636573120472656164120577726974651a210a086d616361726f6f6e120867656e6572617465120472656164\
                     120577726974651a160a076d657373616765120472656164120577726974651a170a086f6666636861696e120472656164\
                     120577726974651a160a076f6e636861696e120472656164120577726974651a140a057065657273120472656164120577\
                     726974651a180a067369676e6572120867656e657261746512047265616400";
        let admin = rights(admin.strip_suffix("00").unwrap()).unwrap();
        assert!(admin.receives() && admin.pays() && admin.see_info && admin.spend);
    }

    #[test]
    fn every_right_through_which_money_can_leave_counts_as_spending() {
        for (entity, action, spends) in [
            ("offchain", "write", true),
            ("onchain", "write", true),
            ("macaroon", "generate", true),
            ("signer", "generate", true),
            ("uri", "/routerrpc.Router/SendPaymentV2", true),
            ("uri", "/walletrpc.WalletKit/SendOutputs", true),
            ("uri", "/lnrpc.Lightning/AddInvoice", false),
            ("uri", "/lnrpc.Lightning/LookupInvoice", false),
            ("swap", "execute", true),
            ("account", "write", true),
            ("an entity of tomorrow", "write", true),
            ("peers", "write", false),
            ("invoices", "write", false),
            ("address", "write", false),
            ("offchain", "read", false),
            ("info", "read", false),
        ] {
            let read = rights(&operation(entity, action)).unwrap();
            assert_eq!(read.spend, spends, "{entity} {action}");
        }
        let uris = operation("uri", ADD) + &operation("uri", LOOKUP);
        assert!(rights(&uris).unwrap().receives());
        assert!(!rights(&operation("uri", ADD)).unwrap().receives());
    }

    #[test]
    fn another_layout_is_unknown_and_never_a_panic() {
        for text in [
            "",
            "02",
            "0201",
            "0201036c6e",
            "020103",
            "0202020300",
            "0202010400",
            "02020303ffff",
            "02020a03ffffffffffffffff7f00",
            "0302",
        ] {
            let bytes = crate::codec::hex::decode_vec(text).unwrap();
            assert_eq!(Rights::of(&bytes), None, "{text}");
        }
    }
}
