/// A piece of HTML, already escaped and encoded. Text becomes a node only through escaping, so markup can't be injected.
///
/// A node is a stretch of a sheet. Nodes made one after the other lie one behind the other on it, so that an element
/// around them is written around them, and putting them together copies nothing (decision 21). A node that stands
/// elsewhere than where it was made is copied there.
public struct Node: Sendable, ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    /// `nil` when the node is empty.
    private var sheet: Sheet?
    private var start: Int32
    private var end: Int32

    fileprivate init(_ sheet: Sheet, _ start: Int, _ end: Int) {
        self.sheet = start == end ? nil : sheet
        self.start = Int32(truncatingIfNeeded: start)
        self.end = Int32(truncatingIfNeeded: end)
    }

    private init() {
        sheet = nil
        start = 0
        end = 0
    }

    /// Text, escaped.
    public init(_ text: String) {
        var pen = Pen()
        pen.escape(text)
        self = pen.node
    }
    public init(stringLiteral text: String) { self.init(text) }

    /// Markup whose every part was looked at.
    init(checked markup: String) {
        var pen = Pen()
        pen.write(markup)
        self = pen.node
    }

    public static let none = Node()
    /// Markup written in the source; never a value.
    public static func raw(_ markup: StaticString) -> Node {
        var pen = Pen()
        pen.write(markup)
        return pen.node
    }
    public static func + (a: Node, b: Node) -> Node {
        var sum = a
        sum.append(b)
        return sum
    }
    public var isEmpty: Bool { sheet == nil }
    public var byteCount: Int { Int(end - start) }
    public var text: String { withBytes { String(decoding: $0, as: UTF8.self) } }

    /// The bytes, encoded as UTF-8; they are valid while `body` runs.
    public func withBytes<R>(_ body: (UnsafeBufferPointer<UInt8>) throws -> R) rethrows -> R {
        guard let sheet else { return try body(UnsafeBufferPointer(start: nil, count: 0)) }
        return try withExtendedLifetime(sheet) {
            try body(UnsafeBufferPointer(start: sheet.base + Int(start), count: byteCount))
        }
    }

    /// Several in a row cost one copy of each at most: what was copied stands at the end, where the next one is written.
    fileprivate mutating func append(_ other: Node) {
        guard let theirs = other.sheet else { return }
        guard let sheet else {
            self = other
            return
        }
        if sheet === theirs, end == other.start {
            end = other.end
            return
        }
        var pen = Pen(after: self)
        pen.copy(other)
        self = pen.node
    }

    /// Whether this node stands at `offset` of the sheet, and nothing behind it.
    fileprivate func isLast(of other: Sheet, from offset: Int) -> Bool {
        guard let sheet else { return other.used == offset }
        return sheet === other && Int(start) == offset && Int(end) == other.used
    }

    fileprivate var place: (sheet: Sheet, start: Int)? { sheet.map { ($0, Int(start)) } }
}

/// Writes one node at the end of the thread's sheet.
private struct Pen {
    private var sheet: Sheet
    private var start: Int

    init() {
        sheet = Sheet.current
        start = sheet.used
    }

    /// Goes on behind a node: where it is when it is the last on the thread's sheet, else behind a copy of it.
    init(after node: Node) {
        sheet = Sheet.current
        if let place = node.place, place.sheet === sheet, node.isLast(of: sheet, from: place.start) {
            start = place.start
        } else {
            start = sheet.used
            copy(node)
        }
    }

    var node: Node { Node(sheet, start, sheet.used) }

    /// Room for `count` more bytes behind those of this node, which move to a new sheet when there is none.
    @inline(__always)
    private mutating func room(_ count: Int) -> UnsafeMutablePointer<UInt8> {
        if sheet.used &+ count > sheet.capacity { turn(count) }
        return sheet.base + sheet.used
    }

    private mutating func turn(_ count: Int) {
        let written = sheet.used - start
        let next = Sheet.new(for: written + count)
        next.base.update(from: sheet.base + start, count: written)
        next.used = written
        sheet = next
        start = 0
    }

    @inline(__always)
    mutating func write(_ markup: StaticString) {
        let count = markup.utf8CodeUnitCount
        room(count).update(from: markup.utf8Start, count: count)
        sheet.used &+= count
    }

    mutating func write(_ markup: String) {
        var markup = markup
        markup.withUTF8 { write($0) }
    }

    private mutating func write(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let source = bytes.baseAddress else { return }
        room(bytes.count).update(from: source, count: bytes.count)
        sheet.used &+= bytes.count
    }

    mutating func copy(_ node: Node) { node.withBytes { write($0) } }

    mutating func escape(_ text: String) {
        var text = text
        text.withUTF8 { escape($0) }
    }

    /// `"`, `&`, `'`, `<` and `>`.
    private static let special: UInt64 = 1 << 0x22 | 1 << 0x26 | 1 << 0x27 | 1 << 0x3C | 1 << 0x3E

    private mutating func escape(_ text: UnsafeBufferPointer<UInt8>) {
        guard let source = text.baseAddress else { return }
        var target = room(text.count)
        var from = 0
        var at = 0
        while at < text.count {
            let byte = source[at]
            at &+= 1
            guard byte < 64, Self.special &>> UInt64(byte) & 1 == 1 else { continue }
            let plain = at &- 1 &- from
            target.update(from: source + from, count: plain)
            sheet.used &+= plain
            write(Self.reference(byte))
            from = at
            target = room(text.count &- at)
        }
        target.update(from: source + from, count: text.count &- from)
        sheet.used &+= text.count &- from
    }

    private static func reference(_ byte: UInt8) -> StaticString {
        switch byte {
        case UInt8(ascii: "<"): "&lt;"
        case UInt8(ascii: ">"): "&gt;"
        case UInt8(ascii: "&"): "&amp;"
        case UInt8(ascii: "\""): "&quot;"
        default: "&#39;"
        }
    }

    mutating func open(_ tag: StaticString) {
        write("<")
        write(tag)
    }

    mutating func add(_ attribute: Attribute) {
        guard attribute.isPresent else { return }
        write(" ")
        write(attribute.name)
        guard let value = attribute.value else { return }
        write("=\"")
        escape(value)
        write("\"")
    }

    /// What stands in the element whose open tag was written: it was made since, so it usually stands there already.
    mutating func enclose(_ body: () -> Node) {
        let offset = sheet.used
        let inner = body()
        let now = Sheet.current
        if now === sheet, inner.isLast(of: sheet, from: offset) { return }
        // The body stands elsewhere, or something that isn't part of it was written meanwhile.
        let head = Node(sheet, start, offset)
        sheet = now
        start = now.used
        copy(head)
        copy(inner)
    }

    mutating func close(_ tag: StaticString) {
        write("</")
        write(tag)
        write(">")
    }
}

/// An attribute; its value is escaped. A `nil` value writes the bare name; `Attribute.none` writes nothing.
public struct Attribute: Sendable {
    let name: StaticString
    let value: String?
    let isPresent: Bool

    public init(_ name: StaticString, _ value: String? = nil) {
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
    public static func buildPartialBlock(first: Node) -> Node { first }
    public static func buildPartialBlock(accumulated: Node, next: Node) -> Node { accumulated + next }
    public static func buildBlock() -> Node { .none }
    public static func buildOptional(_ node: Node?) -> Node { node ?? .none }
    public static func buildEither(first node: Node) -> Node { node }
    public static func buildEither(second node: Node) -> Node { node }
    public static func buildArray(_ nodes: [Node]) -> Node { nodes.reduce(into: .none) { $0.append($1) } }
}

/// An element: `el("td", .class("num")) { "42" }`.
public func el(_ tag: StaticString, @NodeBuilder body: () -> Node = { .none }) -> Node {
    var pen = Pen()
    pen.open(tag)
    pen.write(">")
    pen.enclose(body)
    pen.close(tag)
    return pen.node
}

// With one attribute and with two, as most have them, without a list of them.

public func el(_ tag: StaticString, _ attribute: Attribute, @NodeBuilder body: () -> Node = { .none }) -> Node {
    var pen = Pen()
    pen.open(tag)
    pen.add(attribute)
    pen.write(">")
    pen.enclose(body)
    pen.close(tag)
    return pen.node
}

public func el(
    _ tag: StaticString, _ first: Attribute, _ second: Attribute, @NodeBuilder body: () -> Node = { .none }
) -> Node {
    var pen = Pen()
    pen.open(tag)
    pen.add(first)
    pen.add(second)
    pen.write(">")
    pen.enclose(body)
    pen.close(tag)
    return pen.node
}

public func el(_ tag: StaticString, _ attributes: Attribute..., @NodeBuilder body: () -> Node = { .none }) -> Node {
    el(tag, attributes, body: body)
}

public func el(_ tag: StaticString, _ attributes: [Attribute], @NodeBuilder body: () -> Node = { .none }) -> Node {
    var pen = Pen()
    pen.open(tag)
    for attribute in attributes { pen.add(attribute) }
    pen.write(">")
    pen.enclose(body)
    pen.close(tag)
    return pen.node
}

/// An element without content: `<input …>`, `<br>`.
public func void(_ tag: StaticString, _ attributes: Attribute...) -> Node { void(tag, attributes) }

public func void(_ tag: StaticString, _ attributes: [Attribute]) -> Node {
    var pen = Pen()
    pen.open(tag)
    for attribute in attributes { pen.add(attribute) }
    pen.write(">")
    return pen.node
}

/// An open tag that stands on a page many times, written once.
struct OpenTag: Sendable {
    private let tag: StaticString
    private let markup: String

    init(_ tag: StaticString, _ attributes: Attribute...) {
        self.tag = tag
        markup = void(tag, attributes).text
    }

    func callAsFunction(@NodeBuilder _ body: () -> Node) -> Node {
        var pen = Pen()
        pen.write(markup)
        pen.enclose(body)
        pen.close(tag)
        return pen.node
    }
}
