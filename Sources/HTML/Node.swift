/// A piece of HTML, already escaped and encoded. Text becomes a node only through escaping, so markup can't be injected.
public struct Node: Sendable, ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    public var bytes: [UInt8]

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// Text, escaped.
    public init(_ text: String) {
        bytes = []
        bytes.reserveCapacity(text.utf8.count + 8)
        Self.escape(text, into: &bytes)
    }
    public init(stringLiteral text: String) { self.init(text) }

    public static let none = Node(bytes: [])
    /// Markup written in the source; never a value.
    public static func raw(_ markup: StaticString) -> Node {
        Node(bytes: markup.withUTF8Buffer { Array($0) })
    }
    public static func + (a: Node, b: Node) -> Node { Node(bytes: a.bytes + b.bytes) }
    public var isEmpty: Bool { bytes.isEmpty }
    public var text: String { String(decoding: bytes, as: UTF8.self) }

    static func escape(_ text: String, into out: inout [UInt8]) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "<"): out.append(contentsOf: "&lt;".utf8)
            case UInt8(ascii: ">"): out.append(contentsOf: "&gt;".utf8)
            case UInt8(ascii: "&"): out.append(contentsOf: "&amp;".utf8)
            case UInt8(ascii: "\""): out.append(contentsOf: "&quot;".utf8)
            case UInt8(ascii: "'"): out.append(contentsOf: "&#39;".utf8)
            default: out.append(byte)
            }
        }
    }
}

/// An attribute; its value is escaped. A `nil` value writes the bare name; `Attribute.none` writes nothing.
public struct Attribute: Sendable {
    let name: String
    let value: String?
    let isPresent: Bool

    public init(_ name: String, _ value: String? = nil) {
        self.name = name
        self.value = value
        self.isPresent = true
    }
    private init() {
        name = ""
        value = nil
        isPresent = false
    }

    public static let none = Attribute()
    public static func `class`(_ names: String) -> Attribute { Attribute("class", names) }
    public static func id(_ id: String) -> Attribute { Attribute("id", id) }
    public static func href(_ url: String) -> Attribute { Attribute("href", url) }
    public static func name(_ name: String) -> Attribute { Attribute("name", name) }
    public static func value(_ value: String) -> Attribute { Attribute("value", value) }
    public static func type(_ type: String) -> Attribute { Attribute("type", type) }
    public static func label(_ text: String) -> Attribute { Attribute("aria-label", text) }
    public static func title(_ text: String) -> Attribute { Attribute("title", text) }
    /// The attribute when the condition holds.
    public static func when(_ condition: Bool, _ attribute: @autoclosure () -> Attribute) -> Attribute {
        condition ? attribute() : .none
    }
}

@resultBuilder
public enum NodeBuilder {
    public static func buildExpression(_ node: Node) -> Node { node }
    public static func buildExpression(_ text: String) -> Node { Node(text) }
    public static func buildExpression(_ nodes: [Node]) -> Node { buildArray(nodes) }
    public static func buildExpression(_ node: Node?) -> Node { node ?? .none }
    public static func buildBlock(_ nodes: Node...) -> Node { buildArray(nodes) }
    public static func buildOptional(_ node: Node?) -> Node { node ?? .none }
    public static func buildEither(first node: Node) -> Node { node }
    public static func buildEither(second node: Node) -> Node { node }
    public static func buildArray(_ nodes: [Node]) -> Node {
        var out: [UInt8] = []
        out.reserveCapacity(nodes.reduce(0) { $0 + $1.bytes.count })
        for node in nodes { out.append(contentsOf: node.bytes) }
        return Node(bytes: out)
    }
}

/// An element: `el("td", .class("num")) { "42" }`.
public func el(_ tag: StaticString, _ attributes: Attribute..., @NodeBuilder body: () -> Node = { .none }) -> Node {
    el(tag, attributes, body: body)
}

public func el(_ tag: StaticString, _ attributes: [Attribute], @NodeBuilder body: () -> Node = { .none }) -> Node {
    let inner = body().bytes
    var out: [UInt8] = []
    out.reserveCapacity(inner.count + 64)
    openTag(tag, attributes, into: &out)
    out.append(contentsOf: inner)
    out.append(contentsOf: "</".utf8)
    tag.withUTF8Buffer { out.append(contentsOf: $0) }
    out.append(UInt8(ascii: ">"))
    return Node(bytes: out)
}

/// An element without content: `<input …>`, `<br>`.
public func void(_ tag: StaticString, _ attributes: Attribute...) -> Node { void(tag, attributes) }

public func void(_ tag: StaticString, _ attributes: [Attribute]) -> Node {
    var out: [UInt8] = []
    openTag(tag, attributes, into: &out)
    return Node(bytes: out)
}

private func openTag(_ tag: StaticString, _ attributes: [Attribute], into out: inout [UInt8]) {
    out.append(UInt8(ascii: "<"))
    tag.withUTF8Buffer { out.append(contentsOf: $0) }
    for attribute in attributes where attribute.isPresent {
        out.append(UInt8(ascii: " "))
        out.append(contentsOf: attribute.name.utf8)
        guard let value = attribute.value else { continue }
        out.append(contentsOf: "=\"".utf8)
        Node.escape(value, into: &out)
        out.append(UInt8(ascii: "\""))
    }
    out.append(UInt8(ascii: ">"))
}
