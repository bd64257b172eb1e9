use super::*;
use proptest::prelude::*;

fn limits() -> impl Strategy<Value = MpsLimits> {
    let threads = proptest::option::of((1u64..=100).prop_map(|n| Percent::new(n).unwrap()));
    let memory = prop_oneof![1u64..5000, (1u64..1 << 14).prop_map(|gib| gib << 10)];
    let memory = proptest::option::of(memory.prop_map(|mib| Memory::from_mib(mib).unwrap()));
    (threads, memory).prop_map(|(threads, memory)| MpsLimits { threads, memory })
}

fn profile() -> impl Strategy<Value = ProfileName> {
    let attribute = prop_oneof![Just(""), Just("+me"), Just("+gfx"), Just("+me.all"), Just("-me")];
    (1u32..10, 0u32..1000, attribute).prop_map(|(slices, gigabytes, attribute)| ProfileName {
        slices,
        gigabytes,
        attribute: attribute.to_owned(),
    })
}

fn share() -> impl Strategy<Value = Share> {
    let interval = proptest::option::of(proptest::sample::select(&Interval::ALL[..]));
    let compute = proptest::option::of((1u64..=16).prop_map(|n| ComputeSlices::new(n).unwrap()));
    let sharing = prop_oneof![
        Just(MigSharing::Exclusive),
        Just(MigSharing::TimeSlicing),
        limits().prop_map(MigSharing::Mps)
    ];
    prop_oneof![
        Just(Share::Exclusive),
        interval.prop_map(|interval| Share::TimeSlicing { interval }),
        limits().prop_map(Share::Mps),
        (profile(), compute, sharing).prop_map(|(profile, compute, sharing)| Share::Mig(
            MigShare { profile, compute, sharing }
        )),
    ]
}

fn pin() -> impl Strategy<Value = String> {
    prop_oneof![
        (0u32..1000).prop_map(|index| index.to_string()),
        "(GPU|MIG)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[A-Za-z*?][A-Za-z0-9 *?_.-]{0,20}[A-Za-z0-9*]",
    ]
}

fn request() -> impl Strategy<Value = Request> {
    (share(), prop_oneof![Just(1u64), 1u64..=64], proptest::option::of(pin())).prop_map(
        |(share, count, pin)| {
            let request = Request::new(share).with_count(Count::new(count).unwrap());
            match pin.and_then(|pin| Pin::parse(&pin)) {
                Some(pin) => request.clone().with_pin(pin).unwrap_or(request),
                None => request,
            }
        },
    )
}

proptest! {
    #[test]
    fn text_round_trips(request in request()) {
        prop_assert_eq!(request.to_string().parse::<Request>().unwrap(), request);
    }

    #[test]
    fn json_and_yaml_round_trip(request in request()) {
        let json = serde_json::to_string(&request).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Request>(&json).unwrap(), &request);
        let yaml = serde_saphyr::to_string(&request).unwrap();
        prop_assert_eq!(&serde_saphyr::from_str::<Request>(&yaml).unwrap(), &request, "{}", yaml);
        let text = serde_json::Value::from(request.to_string());
        prop_assert_eq!(&serde_json::from_value::<Request>(text).unwrap(), &request);
    }

    #[test]
    fn a_request_has_a_cdi_name_or_says_what_keeps_it_from_having_one(request in request()) {
        match request.cdi_name() {
            Ok(name) => {
                let bytes = name.as_bytes();
                prop_assert!(bytes[0].is_ascii_alphanumeric());
                prop_assert!(bytes[bytes.len() - 1].is_ascii_alphanumeric());
                prop_assert!(bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(b)));
                prop_assert_eq!(Request::from_cdi_name(&name).unwrap(), request);
            }
            Err(NoCdiName { what, .. }) => match what {
                "a count" => prop_assert!(request.count() != Count::ONE),
                "a product" => prop_assert!(matches!(request.pin(), Some(Pin::Product(_)))),
                "a memory limit" => prop_assert!(request.to_string().contains("memory=")),
                _ => prop_assert!(false, "{}", what),
            },
        }
    }

    #[test]
    fn a_cdi_name_that_is_read_prints_back(name in "(0:|GPU-)?(mig|mps|time-slicing|exclusive)[-.0-9a-z]{0,20}") {
        if let Ok(request) = Request::from_cdi_name(&name) {
            prop_assert_eq!(request.cdi_name().unwrap(), name);
        }
    }

    #[test]
    fn lists_round_trip(requests in proptest::collection::vec(share(), 1..20)) {
        let list = Requests::new(requests.into_iter().map(Request::new).collect()).unwrap();
        prop_assert_eq!(&list.to_string().parse::<Requests>().unwrap(), &list);
        let json = serde_json::to_string(&list).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Requests>(&json).unwrap(), &list);
        prop_assert_eq!(&Requests::from_document(&json).unwrap(), &list);
        let yaml = serde_saphyr::to_string(&list).unwrap();
        prop_assert_eq!(&Requests::from_document(&yaml).unwrap(), &list);
    }

    #[test]
    fn no_text_panics_and_every_error_marks_a_part_of_it(text in "\\PC{0,60}") {
        if let Err(error) = text.parse::<Request>() {
            prop_assert!(text.get(error.span()).is_some());
            prop_assert!(error.example().parse::<Request>().is_ok());
            let lines = if text.trim().is_empty() { 2 } else { 4 };
            prop_assert_eq!(error.to_string().lines().count(), lines);
        }
        let _ = Request::from_cdi_name(&text).map_err(|error| error.to_string());
        let _ = Requests::from_document(&text);
    }

    #[test]
    fn a_request_with_one_letter_changed_never_panics(request in request(), at in 0usize..40, letter: char) {
        let mut letters: Vec<char> = request.to_string().chars().collect();
        if let Some(slot) = letters.get_mut(at) {
            *slot = letter;
        }
        let text: String = letters.into_iter().collect();
        if let Err(error) = text.parse::<Request>() {
            prop_assert!(text.get(error.span()).is_some());
            prop_assert!(!error.to_string().lines().any(|line| line.contains(char::is_control)));
        }
    }
}

/// Every kind of mistake, as a person sees it.
#[test]
fn mistakes_are_marked() {
    let texts = [
        "",
        "  ",
        "gpu",
        "time-slice",
        "exclusive:now",
        "time-slicing:short",
        "time-slicing:interval=tiny",
        "mps:thread=25",
        "mps:threads=0",
        "mps:threads=25,threads=30",
        "mps:threads=25,",
        "mps:",
        "mps:memory=10GB",
        "1g.10gb",
        "mig",
        "mig:",
        "mig:1g10",
        "mig:3g.40gb,compute=0c",
        "mig:3g.40gb,slices=1c",
        "mig:3g.40gb/",
        "mig:3g.40gb/exclusive",
        "mig:3g.40gb/time-slicing:interval=short",
        "mig:3g.40gb/mps:threads=101",
        "0x exclusive",
        "65x exclusive",
        "2 exclusive",
        "exclusive @",
        "exclusive @GPU-1234",
        "mig:1g.10gb @MIG-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c",
        "2x exclusive @MIG-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c",
        "exclusive\nmps",
        "mps:threads=\u{1b}[31m25",
        "ümps",
    ];
    let mut shown: Vec<String> =
        texts.iter().map(|text| text.parse::<Request>().unwrap_err().to_string()).collect();
    shown.push(Request::from_cdi_name("mig-1g.10gb+me").unwrap_err().to_string());
    shown.push(Request::from_cdi_name("exclusiv").unwrap_err().to_string());
    for text in ["2x mps", "mps:memory=1Gi", "exclusive @*H100*"] {
        shown.push(text.parse::<Request>().unwrap().cdi_name().unwrap_err().to_string());
    }
    insta::assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn mistakes_in_documents_name_their_line() {
    let documents = [
        "- {mode: mps, thread: 25}",
        "- mode: mig\n  profil: 1g.10gb",
        "- mode: exclusive\n  threads: 25",
        "- mode: mig",
        "- profile: 1g.10gb",
        "- mode: mps\n- mode: quick",
        "- mode: mps\n  threads: 250",
        "- mode: mps\n  memory: 10GB",
        "- mode: mig\n  profile: 1g",
        "- mode: mps\n  mode: mig",
        "- mps:thread=25",
        "requests: []",
        "[]",
        "- [mps]",
        "- {mode: exclusive, gpu: GPU-12}",
        "- mode: mps\n  kangaroo: 1",
    ];
    let shown: Vec<String> = documents
        .iter()
        .map(|document| {
            format!("{document}\n=> {}", Requests::from_document(document).unwrap_err())
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn names_of_the_design_are_read_and_printed() {
    let names = [
        ("exclusive", "exclusive"),
        ("time-slicing", "time-slicing"),
        ("time-slicing-short", "time-slicing:interval=short"),
        ("mps", "mps"),
        ("mps-25", "mps:threads=25"),
        ("mig-1g.10gb", "mig:1g.10gb"),
        ("mig-1g.10gb.me", "mig:1g.10gb+me"),
        ("mig-1g.24gb-me", "mig:1g.24gb-me"),
        ("mig-1g.24gb.me.all", "mig:1g.24gb+me.all"),
        ("mig-3g.40gb.mps-50", "mig:3g.40gb/mps:threads=50"),
        ("mig-1g.10gb.me.time-slicing", "mig:1g.10gb+me/time-slicing"),
        ("mig-1c.3g.40gb", "mig:3g.40gb,compute=1c"),
        ("0:mig-1g.10gb", "mig:1g.10gb @0"),
    ];
    for (name, text) in names {
        let request: Request = text.parse().unwrap();
        assert_eq!(request.cdi_name().unwrap(), name);
        assert_eq!(Request::from_cdi_name(name).unwrap(), request);
        assert_eq!(request.to_string(), text);
    }
    for wrong in [
        "",
        ":",
        "0:",
        "mps-0",
        "mps-025",
        "mig-",
        "mig-gb",
        "mig-01g.10gb",
        "2x-mps",
        "*:mps",
        "mps-25-",
        "mig-1g.10gb.",
    ] {
        assert!(Request::from_cdi_name(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_grammar_is_read_with_or_without_spaces() {
    let loose: Request = "  2xmig:1g.10gb@0 ".parse().unwrap();
    assert_eq!(loose.to_string(), "2x mig:1g.10gb @0");
    let product: Request = "exclusive @NVIDIA H100 80GB HBM3".parse().unwrap();
    assert!(matches!(product.pin(), Some(Pin::Product(_))));
}

#[test]
fn lists_are_bounded() {
    let many = |n: usize| vec!["mps"; n].join(";");
    assert!(many(64).parse::<Requests>().is_ok());
    assert_eq!(many(65).parse::<Requests>(), Err(ListError::TooMany));
    assert_eq!(many(10_000).parse::<Requests>(), Err(ListError::TooMany));
    assert!(matches!(many(100_000).parse::<Requests>(), Err(ListError::TooLong(_))));
    assert_eq!("33x mps; 32x mps".parse::<Requests>(), Err(ListError::TooMany));
    assert!(Requests::from_document(&format!("[{}]", vec!["mps"; 10_000].join(","))).is_err());
    assert_eq!(Requests::new(Vec::new()), Err(ListError::Empty));
    let long = "mps:".to_owned() + &"threads=1,".repeat(10_000);
    assert!(long.parse::<Request>().unwrap_err().to_string().len() < 1000);
}
