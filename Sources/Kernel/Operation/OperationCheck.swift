extension AnyOperation {
    /// Every error in `input` (the object at `/input`), without running anything: so that a client that finds errors of its
    /// own around it can answer with all of them at once.
    public func errors(in input: JSON) -> [FieldError] {
        do throws(InvalidFields) {
            _ = try parse(input)
            return []
        } catch {
            return error.errors
        }
    }
}
