import Kernel

/// Field values made from declarations.
public enum Samples {
    public static func input(for operation: AnyOperation, number: Int) -> JSON {
        let fields = operation.fields()
        let required = fields.filter(\.param.isRequired)
        // Where every field may be left out, an edit needs one all the same.
        let chosen = required.isEmpty ? Array(fields.prefix(1)) : required
        return .object(
            Dictionary(uniqueKeysWithValues: chosen.map { ($0.name, value(for: $0, number: number)) }))
    }

    public static func value(for field: ParamField, number: Int) -> JSON {
        // A field of a shape of its own says what one looks like.
        if let example = field.param.schema["examples"]?.array?.first { return example }
        // The one of `World.populate`.
        if field.name == "session" { return "ses_colleague" }
        if field.name == "tenant" { return "active" }
        if field.name == "reviewer" { return "stf_asker" }
        // Somebody whose role looks after tenants.
        if field.name == "csm" { return "stf_everybody" }
        switch field.param.rules.pattern {
        case .slug: return .string("law-\(number)")
        case .email: return .string("law-\(number)@example.test")
        case .externalID: return .string("law-\(number)")
        case .currency: return "USD"
        case nil: break
        }
        switch field.param.control {
        case .choice(let words): return .string(words.first ?? "")
        // Where the words are only known at run time, any stands for one.
        case .choices(let words): return .array(words.isEmpty ? [.string("law-\(number)")] : [.string(words[0])])
        case .number: return .int(field.param.rules.range?.lowerBound ?? 1)
        case .checkbox: return true
        case .day: return "2030-01-31"
        case .email: return .string("law-\(number)@example.test")
        case .line, .prose:
            // As long as it has to be.
            let text = "law-\(number)"
            let missing = (field.param.rules.length?.lowerBound ?? 0) - text.count
            return .string(missing > 0 ? text + String(repeating: ".", count: missing) : text)
        }
    }
}
