//! From a function to the function and its tool.
//!
//! Beside `fn greet` there comes a type of the same name: functions and types have separate name spaces, so that `greet` is
//! the function where it is called and the tool where `export!` wants one, and one `use` brings both.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, GenericArgument, ItemFn, PathArguments, Result, ReturnType, Type};

use crate::arguments::{self, Argument, DefaultValue, Property};
use crate::docs;
use crate::options::{Hints, Options};

/// Expands, or gives back the function with the errors beside it, so that one mistake does not bring a dozen more.
pub(crate) fn tool(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut function: ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let error =
                Error::new(error.span(), format!("`#[tool]` stands on a function: {error}")).into_compile_error();
            return quote!(#error #item);
        }
    };
    let made = Options::parse(options).and_then(|options| make(&options, &mut function));
    strip(&mut function);
    let beside = made.unwrap_or_else(Error::into_compile_error);
    quote!(#function #beside)
}

/// Attributes on arguments belong to this macro; the compiler would refuse them.
fn strip(function: &mut ItemFn) {
    for input in &mut function.sig.inputs {
        if let syn::FnArg::Typed(typed) = input {
            typed.attrs.clear();
        }
    }
}

fn make(options: &Options, function: &mut ItemFn) -> Result<TokenStream> {
    check(function)?;
    let description = docs::text(&function.attrs);
    if description.trim().is_empty() {
        let message = "a tool needs a doc comment: a model reads it to choose the tool";
        return Err(Error::new(function.sig.ident.span(), message));
    }
    if description.len() > 4096 {
        let message = format!("a tool's description has at most 4096 bytes, this has {}", description.len());
        return Err(Error::new(function.sig.ident.span(), message));
    }
    let name = options.name_for(&function.sig.ident)?;
    let arguments = arguments::read(&mut function.sig.inputs)?;
    Ok(implementation(options, function, &name, &description, &arguments))
}

fn check(function: &ItemFn) -> Result<()> {
    let signature = &function.sig;
    if let Some(asyncness) = &signature.asyncness {
        let message =
            "a tool is a plain function: calls of the host wait by themselves, and `model::parallel` runs many at once";
        return Err(Error::new_spanned(asyncness, message));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(&signature.generics, "a tool cannot be generic: its schema is made once"));
    }
    if let Some(variadic) = &signature.variadic {
        return Err(Error::new_spanned(variadic, "a tool cannot be variadic"));
    }
    Ok(())
}

fn implementation(
    options: &Options,
    function: &ItemFn,
    name: &str,
    description: &str,
    arguments: &[Argument],
) -> TokenStream {
    let krate = quote!(::ringfence_skill::__private);
    let (ident, visibility) = (&function.sig.ident, &function.vis);
    let title = match &options.title {
        Some(title) => quote!(::std::option::Option::Some(#title)),
        None => quote!(::std::option::Option::None),
    };
    let hints = hints(options.hints);
    let (input, input_type) = input(arguments);
    let passed = arguments.iter().map(pass);
    let result = Returned::of(&function.sig.output);
    let output_schema = result.schema(options);
    let finish = result.finish(quote!(#ident(#(#passed),*)));
    let summary = format!("The tool of the function `{ident}`.");
    quote! {
        #[doc = #summary]
        #[allow(non_camel_case_types)]
        #visibility struct #ident {}

        const _: () = {
            #input

            impl #krate::Tool for #ident {
                const NAME: &'static str = #name;

                fn describe() -> #krate::ToolDescription {
                    #krate::ToolDescription {
                        name: ::std::string::String::from(#name),
                        title: #title.map(|title: &str| ::std::string::String::from(title)),
                        description: ::std::string::String::from(#description),
                        input_schema: #krate::input_schema::<#input_type>(),
                        output_schema: #output_schema,
                        hints: #hints,
                    }
                }

                fn run(input: &str, context: #krate::Context) -> ::std::result::Result<#krate::Outcome, #krate::Failure> {
                    let _ = &context;
                    #[allow(unused_variables)]
                    let input: #input_type = #krate::input(input)?;
                    #finish
                }
            }
        };
    }
}

/// The type of the input object, and the struct that it needs where its properties are the arguments.
fn input(arguments: &[Argument]) -> (TokenStream, TokenStream) {
    if let Some(whole) = arguments.iter().find_map(|argument| match argument {
        Argument::Whole { ty, .. } => Some(ty),
        _ => None,
    }) {
        return (quote!(), quote!(#whole));
    }
    let properties = arguments.iter().filter_map(|argument| match argument {
        Argument::Property(property) => Some(property.as_ref()),
        _ => None,
    });
    let (fields, defaults): (Vec<_>, Vec<_>) = properties.map(field).unzip();
    let definition = quote! {
        #[derive(::ringfence_skill::__private::serde::Deserialize, ::ringfence_skill::__private::schemars::JsonSchema)]
        #[serde(crate = "::ringfence_skill::__private::serde", deny_unknown_fields)]
        #[schemars(crate = "::ringfence_skill::__private::schemars")]
        #[allow(non_camel_case_types)]
        struct __Input { #(#fields),* }
        #(#defaults)*
    };
    (definition, quote!(__Input))
}

/// The field of one property, and the function that gives its default.
fn field(property: &Property) -> (TokenStream, TokenStream) {
    let Property { name, ty, attributes, .. } = property;
    let (default, function) = match &property.default {
        DefaultValue::None => (quote!(), quote!()),
        DefaultValue::OfType => (quote!(#[serde(default)]), quote!()),
        DefaultValue::Expression(value) => {
            let function = format_ident!("__default_{}", name.to_string().trim_start_matches("r#"));
            let path = function.to_string();
            // `into` lets `#[default("en")]` stand for a `String`; for the value's own type it does nothing.
            let body = match is_number_of(value, ty) {
                true => quote!(#value),
                false => quote_spanned!(value.span()=> ::std::convert::Into::into(#value)),
            };
            (
                quote!(#[serde(default = #path)]),
                quote!(#[allow(clippy::useless_conversion)] fn #function() -> #ty { #body }),
            )
        }
    };
    (quote!(#(#attributes)* #default #name: #ty), function)
}

/// Whether a default is a number that is written as one of the argument's type. `into` would make an `i32` of `5` first, and there
/// is no way from that to a `u32`.
fn is_number_of(value: &TokenStream, ty: &TokenStream) -> bool {
    const INTEGERS: [&str; 12] =
        ["u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize"];
    let literal = match syn::parse2::<syn::Expr>(value.clone()) {
        Ok(syn::Expr::Unary(unary)) if matches!(unary.op, syn::UnOp::Neg(_)) => *unary.expr,
        Ok(expression) => expression,
        Err(_) => return false,
    };
    let syn::Expr::Lit(literal) = literal else { return false };
    let ty = ty.to_string();
    match literal.lit {
        syn::Lit::Int(number) => number.suffix().is_empty() && INTEGERS.contains(&ty.as_str()),
        syn::Lit::Float(number) => number.suffix().is_empty() && matches!(ty.as_str(), "f32" | "f64"),
        _ => false,
    }
}

/// How the argument is given to the function.
fn pass(argument: &Argument) -> TokenStream {
    match argument {
        Argument::Context { by_reference: true } => quote!(&context),
        Argument::Context { by_reference: false } => quote!(context.clone()),
        Argument::Whole { by_reference: true, .. } => quote!(&input),
        Argument::Whole { by_reference: false, .. } => quote!(input),
        Argument::Property(property) => {
            let name = &property.name;
            match property.by_reference {
                true => quote!(&input.#name),
                false => quote!(input.#name),
            }
        }
    }
}

fn hints(hints: Hints) -> TokenStream {
    let Hints { read_only, destructive, idempotent, open_world } = hints;
    let flags = [
        (read_only, "READ_ONLY"),
        (destructive, "DESTRUCTIVE"),
        (idempotent, "IDEMPOTENT"),
        (open_world, "OPEN_WORLD"),
    ];
    let flags = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| format_ident!("{flag}"));
    quote!(::ringfence_skill::__private::ToolHints::empty() #(| ::ringfence_skill::__private::ToolHints::#flags)*)
}

/// What the function returns.
struct Returned {
    fallible: bool,
    /// None stands for `()`.
    value: Option<Type>,
}

impl Returned {
    fn of(output: &ReturnType) -> Self {
        let ReturnType::Type(_, ty) = output else { return Self { fallible: false, value: None } };
        match result_value(ty) {
            Some(value) => Self { fallible: true, value: Some(value) },
            None => Self { fallible: false, value: Some(ty.as_ref().clone()) },
        }
    }

    /// Text and outcomes go as they are; every other value becomes structured output with a schema.
    fn is_structured(&self) -> bool {
        match &self.value {
            None => false,
            Some(Type::Tuple(tuple)) => !tuple.elems.is_empty(),
            Some(Type::Reference(reference)) => {
                !matches!(reference.elem.as_ref(), Type::Path(path) if path.path.is_ident("str"))
            }
            Some(Type::Path(path)) => {
                !path.path.segments.last().is_some_and(|last| last.ident == "String" || last.ident == "Outcome")
            }
            Some(_) => true,
        }
    }

    fn schema(&self, options: &Options) -> TokenStream {
        let described = options.output.as_ref().or(self.value.as_ref().filter(|_| self.is_structured()));
        match described {
            Some(ty) => {
                quote_spanned!(ty.span()=> ::std::option::Option::Some(::ringfence_skill::__private::output_schema::<#ty>()))
            }
            None => quote!(::std::option::Option::None),
        }
    }

    fn finish(&self, call: TokenStream) -> TokenStream {
        let call = match self.fallible {
            true => quote!(#call.map_err(::ringfence_skill::__private::Failure::from)?),
            false => call,
        };
        match (&self.value, self.is_structured()) {
            (Some(ty), true) => quote_spanned!(ty.span()=> ::ringfence_skill::__private::structured::<#ty>(#call)),
            (Some(ty), false) => {
                quote_spanned!(ty.span()=> ::ringfence_skill::__private::outcome(#call))
            }
            (None, _) => quote!({ #call; ::std::result::Result::Ok(::ringfence_skill::Outcome::default()) }),
        }
    }
}

/// `T` of `Result<T>` or `Result<T, E>`, by the last word of the path, as every crate's own `Result` alias has it.
fn result_value(ty: &Type) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Result")?;
    let PathArguments::AngleBracketed(generic) = &last.arguments else { return None };
    generic.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(value) => Some(value.clone()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The compile errors of a function that cannot be a tool.
    fn errors(options: TokenStream, item: TokenStream) -> Vec<String> {
        let mut function: ItemFn = syn::parse2(item).unwrap();
        let made = Options::parse(options).and_then(|options| make(&options, &mut function));
        made.unwrap_err().into_iter().map(|error| error.to_string()).collect()
    }

    #[test]
    fn what_cannot_be_a_tool_says_why() {
        let cases = [
            (
                quote!(),
                quote!(
                    fn f() {}
                ),
                "a tool needs a doc comment",
            ),
            (
                quote!(),
                quote!(
                    /** d */
                    async fn f() {}
                ),
                "a tool is a plain function",
            ),
            (
                quote!(),
                quote!(
                    /** d */
                    fn f<T>(x: T) {}
                ),
                "a tool cannot be generic",
            ),
            (
                quote!(),
                quote!(
                    /** d */
                    fn f(&self) {}
                ),
                "a tool is a free function",
            ),
            (
                quote!(),
                quote!(
                    /** d */
                    fn f((a, b): (u8, u8)) {}
                ),
                "needs a plain name",
            ),
            (
                quote!(),
                quote!(
                    /** d */
                    fn f(a: impl Into<String>) {}
                ),
                "needs a concrete type",
            ),
            (
                quote!(),
                quote!(
                    /** d */
                    fn f(a: &mut String) {}
                ),
                "cannot change its caller's values",
            ),
            (
                quote!(),
                quote!(
                    /** d */
                    fn f(a: Option<&str>) {}
                ),
                "only a whole argument can be borrowed",
            ),
            (
                quote!(),
                quote!(
                    /** d */
                    fn f(a: &dyn Fn()) {}
                ),
                "comes as JSON",
            ),
            (
                quote!(),
                quote!(
                    /** d */
                    fn f(#[other] a: u8) {}
                ),
                "unknown attribute of a tool's argument",
            ),
            (
                quote!(),
                quote!(
                    /** d */
                    fn f(#[input] a: A, b: u8) {}
                ),
                "an `#[input]` is the whole input",
            ),
            (
                quote!(),
                quote!(
                    /** d */
                    fn Loud() {}
                ),
                "`Loud` cannot be a tool's name",
            ),
            (
                quote!(name = "no spaces"),
                quote!(
                    /** d */
                    fn f() {}
                ),
                "`no spaces` cannot be a tool's name",
            ),
            (
                quote!(readonly),
                quote!(
                    /** d */
                    fn f() {}
                ),
                "unknown option of `#[tool]`",
            ),
            (
                quote!(read_only, destructive),
                quote!(
                    /** d */
                    fn f() {}
                ),
                "both `read_only` and `destructive`",
            ),
        ];
        for (options, item, expected) in cases {
            let errors = errors(options, item.clone());
            assert!(errors.iter().any(|error| error.contains(expected)), "{item}: {errors:?}");
        }
    }

    #[test]
    fn every_wrong_argument_is_reported() {
        let errors = errors(
            quote!(),
            quote!(
                /** d */
                fn f(a: &mut String, (b, c): (u8, u8), d: u8) {}
            ),
        );
        assert_eq!(errors.len(), 2, "{errors:?}");
    }

    #[test]
    fn a_failing_function_is_kept_and_its_arguments_are_plain() {
        let output = tool(
            quote!(),
            quote!(
                fn f(#[default(3)] a: u8) {}
            ),
        )
        .to_string();
        assert!(output.contains("fn f (a : u8)") && output.contains("compile_error"), "{output}");
    }

    #[test]
    fn only_a_function_can_be_a_tool() {
        assert!(
            tool(
                quote!(),
                quote!(
                    struct S;
                )
            )
            .to_string()
            .contains("`#[tool]` stands on a function")
        );
    }
}
