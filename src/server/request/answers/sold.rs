//! What a 402 says about the thing that is sold: its description, its price, and what one payment
//! buys.

use std::{fmt::Write as _, time::Duration};

use crate::{
    codec::json,
    payment::{Access, Amount, Terms},
};

/// Writes the members `description` (if the charge has one), `price` and `buys`, each after a comma.
pub(super) fn write(body: &mut String, amount: Amount, terms: &Terms) {
    let description = terms.resource.description.as_deref();
    if let Some(text) = description {
        body.push_str(",\"description\":");
        json::push_text(body, text);
    }
    let mut digits = itoa::Buffer::new();
    body.extend([",\"price\":{\"msat\":", digits.format(amount.as_msat())]);
    if let Some(sat) = amount.as_whole_sat() {
        body.extend([",\"sat\":", digits.format(sat)]);
    }
    body.push_str("},\"buys\":{");
    // Writing into a string cannot fail.
    let _ = match terms.access {
        Access::Once => body.write_str("\"uses\":1,\"summary\":\"one request\""),
        Access::Uses(uses) if uses.get() == 1 => {
            body.write_str("\"uses\":1,\"summary\":\"one request\"")
        }
        Access::Uses(uses) => write!(body, "\"uses\":{uses},\"summary\":\"{uses} requests\""),
        Access::ForDuration(duration) => {
            let (seconds, number, unit) = in_words(duration);
            let plural = if number == 1 { "" } else { "s" };
            write!(
                body,
                "\"seconds\":{seconds},\"summary\":\"any number of requests for {number} {unit}{plural}\""
            )
        }
    };
    body.push('}');
}

/// Whole seconds, and the same in the largest unit that divides them.
fn in_words(duration: Duration) -> (u64, u64, &'static str) {
    let seconds = duration.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let (length, unit) = units
        .into_iter()
        .find(|(length, _)| seconds.is_multiple_of(*length))
        .unwrap_or((1, "second"));
    (seconds, seconds / length, unit)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use serde_json::{Value, json};

    use super::*;

    fn sold(amount: Amount, access: Access, description: Option<&str>) -> Value {
        let mut terms = Terms::plain(access);
        terms.resource.description = description.map(str::to_owned);
        let mut body = String::from("{\"status\":402");
        write(&mut body, amount, &terms);
        body.push('}');
        serde_json::from_str(&body).unwrap()
    }

    #[test]
    fn what_one_payment_buys_is_told_to_machines_and_to_people() {
        let uses = |uses| Access::Uses(NonZeroU32::new(uses).unwrap());
        let seconds = |seconds| Access::ForDuration(Duration::from_secs(seconds));
        let any = |time: &str| format!("any number of requests for {time}");
        for (access, buys) in [
            (Access::Once, json!({"uses": 1, "summary": "one request"})),
            (uses(1), json!({"uses": 1, "summary": "one request"})),
            (uses(20), json!({"uses": 20, "summary": "20 requests"})),
            (
                seconds(86_400),
                json!({"seconds": 86_400, "summary": any("1 day")}),
            ),
            (
                seconds(7_200),
                json!({"seconds": 7_200, "summary": any("2 hours")}),
            ),
            (
                seconds(5_400),
                json!({"seconds": 5_400, "summary": any("90 minutes")}),
            ),
            (
                seconds(1),
                json!({"seconds": 1, "summary": any("1 second")}),
            ),
            (
                seconds(61),
                json!({"seconds": 61, "summary": any("61 seconds")}),
            ),
        ] {
            assert_eq!(sold(Amount::from_sat(1), access, None)["buys"], buys);
        }
    }

    #[test]
    fn the_price_is_told_in_msat_and_in_sat_if_it_is_whole() {
        let price = |msat| sold(Amount::from_msat(msat), Access::Once, None)["price"].clone();
        assert_eq!(price(10_000), json!({"msat": 10_000, "sat": 10}));
        assert_eq!(price(1_500), json!({"msat": 1_500}));
    }

    #[test]
    fn a_description_of_any_letters_is_one_json_text() {
        for text in ["a \"b\", \"c\": {", "d\\", "Wetter f\u{fc}r \u{1f30d}", ""] {
            let sold = sold(Amount::from_sat(1), Access::Once, Some(text));
            assert_eq!(sold["description"], text);
        }
        let sold = sold(Amount::from_sat(1), Access::Once, None);
        assert_eq!(sold.get("description"), None);
    }
}
