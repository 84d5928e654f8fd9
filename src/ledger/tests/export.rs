use super::*;

/// A ledger with one payment in each state, and with texts that a server chose.
async fn filled(description: &str) -> Ledger {
    let (ledger, wallet, _) = ledger(Budget::total(sat(1_000))).await;
    let hostile = |number: u32| NewPayment {
        description: Some(description.to_owned()),
        path: "/tile?key=sekret-query#sekret-fragment".to_owned(),
        payable: "{\"macaroon\":\"sekret-token\"}".to_owned(),
        invoice: "lnbcrt-sekret-invoice".to_owned(),
        is_held: number == 0,
        ..payment(&wallet, number)
    };
    for number in 0..8 {
        let id = ledger.begin(hostile(number)).await.unwrap().id;
        match number {
            0 | 1 => {}
            2 => ledger.in_flight(id).await.unwrap(),
            3 => ledger.failed(id, description).await.unwrap(),
            4 => ledger.unproved(id, description).await.unwrap(),
            _ => ledger.paid(id, preimage(number), sat(1)).await.unwrap(),
        }
        match number {
            6 => ledger.redeemed_reusable(id, 200),
            7 => ledger.refused(id, description).await.unwrap(),
            _ => {}
        }
    }
    ledger.record_income(&receipt(5)).await.unwrap();
    ledger
}

fn receipt(amount: u32) -> crate::payment::PaymentReceipt {
    crate::payment::PaymentReceipt::for_tests(sat(amount))
}

fn csv(ledger: &Ledger) -> String {
    let mut csv = Vec::new();
    ledger.export_csv(&mut csv).unwrap();
    String::from_utf8(csv).unwrap()
}

fn json_lines(ledger: &Ledger) -> String {
    let mut lines = Vec::new();
    ledger.export_json_lines(&mut lines).unwrap();
    String::from_utf8(lines).unwrap()
}

/// The cells of a CSV text, as RFC 4180 reads them.
fn cells(csv: &str) -> Vec<Vec<String>> {
    let (mut lines, mut line, mut cell, mut is_quoted) =
        (Vec::new(), Vec::new(), String::new(), false);
    let mut rest = csv.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if is_quoted && rest.peek() == Some(&'"') => cell.extend(rest.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => line.push(std::mem::take(&mut cell)),
            '\n' if !is_quoted => {
                line.push(std::mem::take(&mut cell));
                lines.push(std::mem::take(&mut line));
            }
            '\r' if !is_quoted => {}
            c => cell.push(c),
        }
    }
    assert!(
        !is_quoted && line.is_empty() && cell.is_empty(),
        "it ends with a line"
    );
    lines
}

#[tokio::test]
async fn no_text_of_a_server_becomes_a_formula_another_cell_or_another_line() {
    for (text, shown) in [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'=1"),
        ("\r\n=1", "'=1"),
        (" \u{200b}=1", "'=1"),
        ("\u{ff1d}1", "'\u{ff1d}1"),
        ("a\",=1,\"b", "a\",=1,\"b"),
        ("a\r\n=1", "a =1"),
        ("a;=1", "a;=1"),
    ] {
        let ledger = filled(text).await;
        let lines = cells(&csv(&ledger));
        assert_eq!(lines.len(), 10, "a line of names, and one for each entry");
        let column = |name: &str| lines[0].iter().position(|own| own == name).unwrap();
        assert!(
            lines.iter().all(|line| line.len() == lines[0].len()),
            "{text:?}"
        );
        for line in &lines[1..9] {
            assert_eq!(line[column("description")], shown, "{text:?}");
        }
        for failed in [4, 5, 8] {
            assert_eq!(lines[failed][column("note")], shown, "{text:?}");
        }
        for cell in lines.iter().flatten() {
            assert!(
                !cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\u{ff1d}']),
                "{cell:?}"
            );
        }
        // A cell without quotes would be cut at a semicolon in some countries.
        assert!(csv(&ledger).contains(&format!("\"{}\"", shown.replace('"', "\"\""))));
    }
}

#[tokio::test]
async fn no_export_and_no_debug_shows_a_preimage_a_challenge_an_invoice_or_a_query() {
    let ledger = filled("a tile").await;
    let entries = ledger.entries(None).unwrap();
    assert!(entries.iter().any(|entry| entry.preimage().is_some()));
    assert!(
        entries
            .iter()
            .any(|entry| entry.payable().contains("sekret"))
    );
    let held = payment(&BudgetPath::root("wallet").unwrap(), 9);
    let begun = ledger.begin(held.clone()).await.unwrap();
    let shown = [
        csv(&ledger),
        json_lines(&ledger),
        format!(
            "{entries:?} {ledger:?} {held:?} {begun:?} {:?}",
            ledger.totals().unwrap()
        ),
        format!("{:#?}", ledger.approvals().ask(&held).unwrap()),
        serde_json::to_string(&ledger.approvals().pending().unwrap()).unwrap(),
    ]
    .concat();
    for number in 0..10 {
        assert!(!shown.contains(&preimage(number).expose_hex()));
        assert!(!shown.contains(&format!("{:?}", preimage(number).expose())));
    }
    for secret in [
        "sekret",
        "macaroon",
        "lnbcrt",
        "payable",
        "preimage",
        "request_key",
    ] {
        assert!(!shown.contains(secret), "{secret}");
    }
    assert!(shown.contains("/tile") && shown.contains("host5.example"));
}

#[tokio::test]
async fn a_json_line_holds_what_its_entry_tells() {
    let ledger = filled("a tile").await;
    let text = json_lines(&ledger);
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 9);
    let names = cells(&csv(&ledger)).remove(0);
    let members = lines[0].as_object().unwrap();
    assert_eq!(members.len(), names.len());
    assert!(
        names.iter().all(|name| members.contains_key(name)),
        "{names:?} {members:?}"
    );
    let paid = &lines[5];
    assert_eq!(paid["state"], "paid");
    assert_eq!(
        (&paid["amount_msat"], &paid["fee_msat"]),
        (&10_000.into(), &1_000.into())
    );
    assert_eq!(
        (&paid["budget"], &paid["path"]),
        (&"wallet".into(), &"/tile".into())
    );
    assert_eq!(paid["created_at"], START.as_unix_seconds());
    assert_eq!(
        (&lines[8]["direction"], &lines[8]["budget"]),
        (&"earned".into(), &serde_json::Value::Null)
    );
}

#[tokio::test]
async fn a_long_ledger_is_exported_whole_and_in_order() {
    let (ledger, wallet, _) = ledger(Budget::without_limits()).await;
    for number in 0..2_001 {
        let same_host = NewPayment {
            host: "a".to_owned(),
            ..payment(&wallet, number)
        };
        ledger.begin(same_host).await.unwrap();
    }
    let hashes = json_lines(&ledger)
        .lines()
        .enumerate()
        .all(|(number, line)| line.contains(&preimage(number as u32).payment_hash().to_string()));
    assert!(hashes && csv(&ledger).lines().count() == 2_002);
    assert_eq!(ledger.totals().unwrap().all.reserved, sat(2_001 * 11));
}

#[tokio::test]
async fn totals_add_up_by_host_day_description_and_budget() {
    let (ledger, wallet, clock) = ledger(Budget::total(sat(1_000))).await;
    let task = ledger
        .create_budget(&wallet, "task", Budget::without_limits())
        .await
        .unwrap();
    let shop = |number, budget: &BudgetPath, what: &str| NewPayment {
        host: "shop.example".to_owned(),
        description: Some(what.to_owned()),
        ..payment(budget, number)
    };
    for (number, budget, what) in [(1, &wallet, "map"), (2, &task, "map"), (3, &task, "photo")] {
        let id = ledger.begin(shop(number, budget, what)).await.unwrap().id;
        ledger
            .paid(id, preimage(number), Amount::from_msat(5))
            .await
            .unwrap();
        clock.advance(Duration::from_secs(86_400));
    }
    let failed = ledger.begin(payment(&wallet, 4)).await.unwrap().id;
    ledger.failed(failed, "no route").await.unwrap();
    ledger.begin(payment(&wallet, 5)).await.unwrap();
    assert!(ledger.record_income(&receipt(7)).await.unwrap());
    assert!(
        !ledger.record_income(&receipt(7)).await.unwrap(),
        "another use of the same payment"
    );

    let totals = ledger.totals().unwrap();
    let msat = Amount::from_msat;
    assert_eq!(
        (totals.all.spent, totals.all.fees),
        (msat(30_015), msat(15))
    );
    assert_eq!(
        (totals.all.reserved, totals.all.earned, totals.all.payments),
        (sat(11), sat(7), 4)
    );
    let spent = |total: Option<&Total>| total.map(|total| (total.payments, total.spent.as_msat()));
    assert_eq!(spent(totals.by_host.get("shop.example")), Some((3, 30_015)));
    assert_eq!(totals.by_host["api.example.com"].earned, sat(7));
    assert!(
        !totals.by_host.contains_key("host4.example"),
        "nothing was paid there"
    );
    assert_eq!(spent(totals.by_description.get("map")), Some((2, 20_010)));
    assert_eq!(spent(totals.by_budget.get(&task)), Some((2, 20_010)));
    assert_eq!(spent(totals.by_budget.get(&wallet)), Some((1, 10_005)));
    assert_eq!(spent(totals.by_day.get("2027-01-15")), Some((1, 10_005)));
    assert_eq!(totals.by_day["2023-11-14"].earned, sat(7));
    assert_eq!(ledger.budget(&wallet).unwrap().spent, totals.all.spent);
}

#[tokio::test]
async fn income_of_a_stream_is_recorded_with_its_place_and_counts_against_no_budget() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(1_000))).await;
    let receipts = futures_util::stream::iter([receipt(3), receipt(3)]);
    ledger.record_settlements(receipts).await.unwrap();
    let [income] = &ledger.entries(None).unwrap()[..] else {
        panic!("one payment")
    };
    assert_eq!(
        (income.direction(), income.amount()),
        (Direction::Earned, sat(3))
    );
    assert_eq!(
        (income.origin(), income.host()),
        ("https://api.example.com", "api.example.com")
    );
    assert_eq!((income.method(), income.path()), ("GET", "/"));
    assert_eq!(ledger.budget(&wallet).unwrap().remaining, Some(sat(1_000)));
}
