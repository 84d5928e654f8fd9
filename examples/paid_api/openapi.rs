use serde_json::{Map, Value, json};

use super::arguments::Route;

/// The path of the description.
pub(crate) const PATH: &str = "/openapi.json";

/// Returns an OpenAPI description of the routes, with the `x-payment-info` of MPP's "Discovery".
pub(crate) fn document(routes: &[Route], origin: &str) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let Some((method, path)) = route.rule.split_once(' ') else {
            continue;
        };
        let path = path.trim_start().replace("{*", "{");
        let parameters: Vec<_> = captures(&path).map(parameter).collect();
        let mut operation = json!({ "parameters": parameters, "responses": { "200": { "description": "what was asked for" } } });
        if ["POST", "PUT", "PATCH"].contains(&method) {
            operation["requestBody"] = json!({ "content": { "*/*": {} } });
        }
        if !route.price.is_zero() {
            operation["responses"]["402"] = json!({ "description": "Payment Required" });
        }
        if let (true, Some(sat)) = (
            route.is_once(),
            route.price.as_whole_sat().filter(|sat| *sat > 0),
        ) {
            let offer = json!({ "method": "lightning", "intent": "charge", "amount": sat.to_string(), "currency": "sat" });
            operation["x-payment-info"] = json!({ "offers": [offer] });
        }
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[method.to_ascii_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "A paid test API", "version": env!("CARGO_PKG_VERSION") },
        "servers": [{ "url": origin }],
        "paths": paths,
    })
}

/// Returns the names between braces.
fn captures(path: &str) -> impl Iterator<Item = &str> {
    path.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name)
}

fn parameter(name: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" }, "example": "test" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_the_payment_info_that_mpp_requires() {
        let routes = [
            "GET /a/{b}/{*c}=10",
            "POST /a=7",
            "GET /a=5;uses=2",
            "GET /free=0",
        ]
        .map(|route| route.parse().unwrap());
        let described = document(&routes, "http://127.0.0.1");
        let paths = &described["paths"];
        assert_eq!(
            paths["/a/{b}/{c}"]["get"]["x-payment-info"]["offers"][0]["amount"],
            "10"
        );
        assert_eq!(paths["/a/{b}/{c}"]["get"]["parameters"][1]["name"], "c");
        assert_eq!(
            paths["/a"]["post"]["x-payment-info"]["offers"][0]["amount"],
            "7"
        );
        assert!(paths["/a"]["post"]["requestBody"].is_object());
        assert_eq!(paths["/a"]["get"]["x-payment-info"], Value::Null);
        assert!(paths["/a"]["get"]["responses"]["402"].is_object());
        assert_eq!(paths["/free"]["get"]["responses"]["402"], Value::Null);
    }
}
