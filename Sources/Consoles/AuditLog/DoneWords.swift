import Kernel

/// What somebody did, as it is told afterwards: "Suspended tenant", "Tried to suspend tenant". The log itself calls an event by the
/// operation it is of (`EventWords`).
enum DoneWords {
    static func of(_ event: EventRow, catalog: Catalog) -> String {
        // What Postern and the product do is no order that anybody gave.
        guard let spec = catalog[event.action]?.spec, !spec.systemOnly else {
            return EventWords.action(event, catalog: catalog)
        }
        if event.eventClass == EventClass.access.rawValue { return "Previewed “\(spec.title)”" }
        return switch EventOutcome(rawValue: event.outcome) {
        case .requested: "Asked to \(lowered(spec.title))"
        case .denied, .failed, .blocked: "Tried to \(lowered(spec.title))"
        case .applied, nil: past(spec.title)
        }
    }

    /// "Withdraw role" → "Withdrew role".
    static func past(_ title: String) -> String {
        let verb = title.prefix { $0 != " " }
        return past(ofVerb: String(verb)) + title.dropFirst(verb.count)
    }

    /// Verbs whose past no rule makes.
    private static let irregular = [
        "Cancel": "Cancelled", "Keep": "Kept", "Put": "Put", "Reset": "Reset", "Send": "Sent", "Set": "Set",
        "Take": "Took", "Transfer": "Transferred", "Withdraw": "Withdrew",
    ]

    private static func past(ofVerb verb: String) -> String {
        if let known = irregular[verb] { return known }
        if verb.hasSuffix("e") { return verb + "d" }
        guard verb.hasSuffix("y"), let before = verb.dropLast().last, !"aeiou".contains(before) else {
            return verb + "ed"
        }
        return String(verb.dropLast()) + "ied"
    }

    /// Within a sentence.
    static func lowered(_ title: String) -> String { title.prefix(1).lowercased() + title.dropFirst() }
}
