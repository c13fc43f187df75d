import HTML
import Kernel

/// What the policy says a currency is worth, so that amounts in it can be held against the bands.
public enum SetRate: Operation {
    public typealias Target = ExchangeRate
    public static let spec = OperationSpec(
        "policy.set_rate", "Set rate",
        summary: "Says what a currency is worth in US dollars, so that its amounts fall under the bands of the rules.",
        permission: "policy.change", risk: .critical)

    public struct Input: OperationInput {
        @Param(
            "US dollars for one",
            help:
                "Like 1.0834, with at most six digits behind the point; 0 for no rate: every amount then needs a second person."
        )
        public var rate: RateText
        public init() {}
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { [.policy] }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<ExchangeRate> {
        let before = call.before
        var after = before
        after.micros = call.input.rate.micros(of: before.id)
        guard after.micros != before.micros else { throw .conflict("\(before.id) is worth exactly that already.") }
        let old =
            before.micros == 0 ? "it had no rate" : "it was \(RateText(micros: before.micros, of: before.id).text) USD"
        return Plan(
            after,
            consequence: after.micros == 0
                ? "Amounts in \(before.id) can't be converted any more, so each of them needs a second person."
                : "1 \(before.id) counts as \(call.input.rate.text) USD from the next action on; before, \(old).")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        guard let micros = done.before?["micros"]?.int else { return .impossible("There was no rate before.") }
        return .run(spec.name, input: ["rate": .string(RateText(micros: micros, of: done.target).text)])
    }

    public static func prefill(_ target: ExchangeRate) -> [String: JSON] {
        ["rate": .string(RateText(micros: target.micros, of: target.id).text)]
    }
}

/// A decimal number with at most six digits behind the point.
public struct RateText: ParamValue, Hashable {
    /// Millionths.
    let millionths: Int64

    private init(millionths: Int64) { self.millionths = millionths }

    /// - Parameter micros: millionths of a minor unit of the base for one minor unit of the currency.
    init(micros: Int64, of currency: String) {
        let (up, down) = Self.scale(of: currency)
        millionths = micros * down / up
    }

    /// Millionths of a minor unit of the base for one minor unit of the currency.
    func micros(of currency: String) -> Int64 {
        let (up, down) = Self.scale(of: currency)
        return millionths * up / down
    }

    /// A dollar has 100 minor units, others have 1 or 1,000.
    private static func scale(of currency: String) -> (up: Int64, down: Int64) {
        switch MoneyText.digits(of: currency) {
        case 0: (100, 1)
        case 3: (1, 10)
        default: (1, 1)
        }
    }

    public var text: String {
        let rest = String(millionths % 1_000_000)
        var decimals = String(repeating: "0", count: 6 - rest.count) + rest
        while decimals.hasSuffix("0") { decimals.removeLast() }
        return "\(millionths / 1_000_000)" + (decimals.isEmpty ? "" : ".\(decimals)")
    }
    public var json: JSON { .string(text) }

    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> RateText {
        switch json {
        case .string(let text): try parse(text: text, rules)
        case .int(let value): try parse(text: String(value), rules)
        default: throw .init("must be text like \"1.0834\", so that no digit is lost.")
        }
    }

    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> RateText {
        guard let match = text.wholeMatch(of: /\s*([0-9]{1,6})(?:\.([0-9]{1,6}))?\s*/), let whole = Int64(match.1)
        else {
            throw .init("must be a number like 1.0834, with at most six digits behind the point.")
        }
        let decimals = match.2.map(String.init) ?? ""
        let padded = decimals + String(repeating: "0", count: 6 - decimals.count)
        return RateText(millionths: whole * 1_000_000 + (Int64(padded) ?? 0))
    }

    public static func schema(_ rules: ParamRules) -> JSON {
        ["type": "string", "pattern": "^[0-9]{1,6}(\\.[0-9]{1,6})?$", "examples": ["1.0834"]]
    }
    public static var control: ParamControl { .line }
}
