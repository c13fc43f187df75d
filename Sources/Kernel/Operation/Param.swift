import Foundation
import Synchronization

/// A type that can be a field of an operation.
public protocol ParamValue: Sendable, Equatable {
    /// Reads a JSON value; the reason ends a sentence starting with the field's label.
    static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> Self
    /// Reads what a form field or a command line argument carries. Empty text means absent for optional values.
    static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> Self
    var json: JSON { get }
    /// What a form field shows for this value.
    var text: String { get }
    /// What a command line carries for this value: none for what is absent, several for a list.
    var arguments: [String] { get }
    /// JSON Schema 2020-12.
    static func schema(_ rules: ParamRules) -> JSON
    static var control: ParamControl { get }
    /// True when the field may be left out.
    static var isOptional: Bool { get }
}

extension ParamValue {
    public static var isOptional: Bool { false }
    public var arguments: [String] { [text] }
}

/// Which form control fits.
public enum ParamControl: Sendable, Equatable {
    case line, prose, number, day, checkbox, email
    case choice([String])
    case choices([String])
}

/// Bounds a declaration sets on a field.
public struct ParamRules: Sendable {
    public var length: ClosedRange<Int>?
    public var range: ClosedRange<Int64>?
    public var prose = false
    public var pattern: Pattern?
    /// Words the field may take, when they are not an enum of their own.
    public var choices: [String]?

    public enum Pattern: Sendable { case slug, email, externalID, currency }

    public init() {}
    public static func length(_ range: ClosedRange<Int>) -> ParamRules { with { $0.length = range } }
    public static func prose(_ range: ClosedRange<Int>) -> ParamRules {
        with {
            $0.length = range
            $0.prose = true
        }
    }
    public static func range(_ range: ClosedRange<Int64>) -> ParamRules { with { $0.range = range } }
    public static func choices(_ words: [String]) -> ParamRules { with { $0.choices = words } }
    public static let slug = with { $0.pattern = .slug }
    public static let email = with { $0.pattern = .email }
    public static let externalID = with { $0.pattern = .externalID }
    public static let currency = with { $0.pattern = .currency }
    public static let none = ParamRules()
    private static func with(_ change: (inout ParamRules) -> Void) -> ParamRules {
        var rules = ParamRules()
        change(&rules)
        return rules
    }
}

/// A field of an operation: `@Param("Resume on", help: "The first day they pay again.") public var resumesOn: Day`.
///
/// Its JSON name is the property's name in snake case.
@propertyWrapper
public struct Param<Value: ParamValue>: Sendable {
    public let label: String
    public let help: String
    public let rules: ParamRules
    public let fallback: Value?
    /// True when the value is personal data, so that it is sealed and never a fact.
    private let cell = ParamCell<Value>()

    /// A required field (or an optional one, when `Value` is an `Optional`).
    public init(_ label: String, _ rules: ParamRules = .none, help: String) {
        self.label = label
        self.help = help
        self.rules = rules
        self.fallback = nil
    }

    /// A field with a default.
    public init(wrappedValue: Value, _ label: String, _ rules: ParamRules = .none, help: String) {
        self.label = label
        self.help = help
        self.rules = rules
        self.fallback = wrappedValue
    }

    public var wrappedValue: Value {
        get {
            guard let value = cell.value ?? fallback ?? (Value.self as? any EmptyParam.Type)?.empty as? Value else {
                preconditionFailure("\(label) was read before it was set")
            }
            return value
        }
        nonmutating set { cell.value = newValue }
    }
}

/// `Input.init()` makes fresh cells, so an input read by reflection can be filled without rebuilding it. Nothing sets a
/// cell after parsing.
private final class ParamCell<Value: Sendable>: Sendable {
    private let state = Mutex<Value?>(nil)
    var value: Value? {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}

/// An optional's value when nothing was given.
protocol EmptyParam { static var empty: Any { get } }

/// What the registry sees of a `Param` without knowing its type.
public protocol AnyParam: Sendable {
    var label: String { get }
    var help: String { get }
    var rules: ParamRules { get }
    var isRequired: Bool { get }
    var schema: JSON { get }
    var control: ParamControl { get }
    /// The value as JSON, or `nil` when none was given and there is no default.
    var currentJSON: JSON? { get }
    var currentText: String { get }
    var currentArguments: [String] { get }
    func set(_ json: JSON) throws(FieldError.Reason)
    func set(text: String) throws(FieldError.Reason)
}

extension Param: AnyParam {
    public var isRequired: Bool { fallback == nil && !Value.isOptional }
    public var schema: JSON {
        guard case .object(var members) = Value.schema(rules) else { return .object([:]) }
        members["title"] = .string(label)
        members["description"] = .string(help)
        if let fallback { members["default"] = fallback.json }
        return .object(members)
    }
    public var control: ParamControl {
        if let choices = rules.choices {
            if case .choices = Value.control { return .choices(choices) }
            return .choice(choices)
        }
        if rules.prose { return .prose }
        if case .email = rules.pattern { return .email }
        return Value.control
    }
    public var currentJSON: JSON? { (cell.value ?? fallback)?.json }
    public var currentText: String { (cell.value ?? fallback)?.text ?? "" }
    public var currentArguments: [String] { (cell.value ?? fallback)?.arguments ?? [] }
    public func set(_ json: JSON) throws(FieldError.Reason) { cell.value = try Value.parse(json, rules) }
    public func set(text: String) throws(FieldError.Reason) { cell.value = try Value.parse(text: text, rules) }
}

/// A field found by reflection.
public struct ParamField: Sendable {
    /// The JSON name, `resumes_on`.
    public let name: String
    public let param: any AnyParam
}

/// The fields of an operation. Conforming types are structs of `@Param` properties with an empty `init()`.
public protocol OperationInput: Sendable {
    init()
}

/// No fields.
public struct NoInput: OperationInput {
    public init() {}
}

extension OperationInput {
    /// The fields in declaration order.
    public var fields: [ParamField] {
        Mirror(reflecting: self).children.compactMap { child in
            guard let label = child.label, let param = child.value as? any AnyParam else { return nil }
            return ParamField(name: snakeCase(String(label.drop { $0 == "_" })), param: param)
        }
    }

    /// Reads every field of an object and collects every error; unknown members are errors that name them.
    public static func parse(_ json: JSON, at pointer: String = "/input") throws(InvalidFields) -> Self {
        let input = Self()
        var errors: [FieldError] = []
        guard let members = json.object else {
            throw InvalidFields([FieldError(pointer: pointer, detail: "must be an object.")])
        }
        let fields = input.fields
        for field in fields {
            let at = "\(pointer)/\(field.name)"
            guard let value = members[field.name], value != .null || !field.param.isRequired else {
                if field.param.isRequired {
                    errors.append(FieldError(pointer: at, detail: "\(field.param.label) is required."))
                }
                continue
            }
            if value == .null { continue }
            do throws(FieldError.Reason) {
                try field.param.set(value)
            } catch {
                errors.append(FieldError(pointer: at, detail: "\(field.param.label) \(error.text)"))
            }
        }
        let known = Set(fields.map(\.name))
        for name in members.keys.sorted() where !known.contains(name) {
            errors.append(
                FieldError(
                    pointer: "\(pointer)/\(JSONPointer.escape(name))",
                    detail: "\"\(name)\" is not a field of this operation."))
        }
        guard errors.isEmpty else { throw InvalidFields(errors) }
        return input
    }

    /// The canonical object: every field that has a value.
    public var json: JSON { JSON.members(fields.map { ($0.name, $0.param.currentJSON) }) }
}

/// Every field that can't be accepted, found in one pass.
public struct InvalidFields: Error, Sendable, Hashable {
    public let errors: [FieldError]
    public init(_ errors: [FieldError]) { self.errors = errors }
}

public enum JSONPointer {
    /// RFC 6901 escaping of one reference token.
    public static func escape(_ token: String) -> String {
        token.replacingOccurrences(of: "~", with: "~0").replacingOccurrences(of: "/", with: "~1")
    }
}

func snakeCase(_ name: String) -> String {
    var out = ""
    for character in name {
        if character.isUppercase {
            if !out.isEmpty, out.last != "_" { out.append("_") }
            out.append(character.lowercased())
        } else {
            out.append(character)
        }
    }
    return out.replacingOccurrences(of: "_i_d", with: "_id")
}
