/// Numbers with thousands separated by commas: `4,812,133`.
public enum Grouped {
    public static func digits(_ value: Int64) -> String {
        if (0..<1000).contains(value) { return String(value) }
        // From the last digit on, in the room that the longest number needs.
        let text = String(unsafeUninitializedCapacity: 26) { out in
            var rest = value.magnitude
            var start = 26
            var count = 0
            repeat {
                if count > 0, count.isMultiple(of: 3) {
                    start -= 1
                    out[start] = UInt8(ascii: ",")
                }
                start -= 1
                out[start] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
                count += 1
            } while rest > 0
            for index in start..<26 { out[index - start] = out[index] }
            return 26 - start
        }
        return value < 0 ? "−" + text : text
    }
    public static func digits(_ value: Int) -> String { digits(Int64(value)) }
}

/// Money as text.
public enum MoneyText {
    private static let zeroDigits: Set<String> = [
        "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF",
    ]
    private static let threeDigits: Set<String> = ["BHD", "JOD", "KWD", "OMR", "TND"]

    /// How many digits stand behind the point (ISO 4217).
    public static func digits(of currency: String) -> Int {
        zeroDigits.contains(currency) ? 0 : threeDigits.contains(currency) ? 3 : 2
    }

    /// `1,840.00 USD`
    public static func words(_ minor: Int64, _ currency: String) -> String {
        "\(amount(minor: minor, currency: currency)) \(currency)"
    }

    /// `1,840.00`; a minus sign for debts, never brackets.
    public static func amount(minor: Int64, currency: String) -> String {
        let digits = digits(of: currency)
        var factor: UInt64 = 1
        for _ in 0..<digits { factor *= 10 }
        let magnitude = minor.magnitude
        var text = (minor < 0 ? "−" : "") + Grouped.digits(Int64(magnitude / factor))
        if digits > 0 {
            let rest = String(magnitude % factor)
            text += "." + String(repeating: "0", count: digits - rest.count) + rest
        }
        return text
    }
}
