(component
  (core module $m (memory 1) (data (i32.const 0) "hello") (table 1 funcref)
    (func (export "f") (param i32) (result i32) (block (br_if 0 (local.get 0))) (local.get 0)))
  (core instance $i (instantiate $m))
  (func (export "f") (param "x" u32) (result u32) (canon lift (core func $i "f"))))