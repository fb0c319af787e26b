(component
  (import "ringfence:skill/kv@0.1.0" (instance))
  (import "wasi:cli/stdout@0.2.9" (instance))
  (component $c (core module))
  (instance (instantiate $c))
  (type $r (resource (rep i32))))